"""Plug-ins by their entry points, those of third parties among them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.model.errors import SettingsError
from core.settings.registry import Kind, plugin_class, plugin_names
from plugins.sched.max_pending import MaxPending

ASK = """
import json, sys
from core.model.errors import SettingsError
from core.settings.registry import plugin_class
said = []
for kind, name in json.load(sys.stdin):
    try:
        said.append(plugin_class(kind, name).__name__)
    except SettingsError as error:
        said.append(str(error))
json.dump([said, sorted(m for m in sys.modules if m.startswith("plugins."))], sys.stdout)
"""


def installed(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """What pip leaves behind of a small package."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    for module, code in modules.items():
        (folder / f"{module}.py").write_text(code)


def asked(folder: Path, *wanted: tuple[Kind, str]) -> tuple[list[str], list[str]]:
    """Ask in a process that finds the packages in `folder` installed."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{ASK}"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said, modules = json.loads(done.stdout)
    return said, modules


def test_the_house_has_its_own() -> None:
    assert plugin_class("sched", "max-pending") is MaxPending
    assert {"ready", "fixed", "null", "scale", "max-to-run"} <= set(plugin_names("sched"))


def test_a_wrong_name_gets_the_nearest_and_hostile_ones_stay_visible() -> None:
    with pytest.raises(SettingsError, match=r"'max-pendng' .*did you mean max-pending\?"):
        plugin_class("sched", "max-pendng")
    with pytest.raises(SettingsError, match=r"'Max_Pending' .*did you mean max-pending\?"):
        plugin_class("sched", "Max_Pending")
    with pytest.raises(SettingsError) as caught:
        plugin_class("config", "\x1b]52;c;aGk=\x07")
    assert str(caught.value).isprintable()
    assert "installed: folder" in str(caught.value)


def test_only_what_is_asked_for_is_loaded(tmp_path: Path) -> None:
    said, modules = asked(tmp_path, ("sched", "null"))
    assert said == ["Null"]
    assert modules == ["plugins.sched", "plugins.sched.null"]


def test_packages_of_third_parties(tmp_path: Path) -> None:
    good = "from plugins.sched.null import Null\nclass Ours(Null):\n    pass\n"
    entry_points = """
[apftui.sched]
ours = ours:Ours
broken = broken:Broken
absent = absent:Absent
nothing = ours:Nothing
word = ours:__name__
null = ours:Ours
"""
    installed(tmp_path, "third", entry_points, ours=good, broken="raise OSError('no\\x1b disk')")
    names = ("ours", "broken", "absent", "nothing", "word", "null")
    (ours, *wrong), _ = asked(tmp_path, *(("sched", name) for name in names))
    assert ours == "Ours"
    expected = [
        "broken (broken:Broken) of third cannot be loaded: OSError: no\\x1b disk; repair",
        "absent (absent:Absent) of third cannot be loaded: ModuleNotFoundError",
        "nothing (ours:Nothing) of third cannot be loaded: AttributeError",
        "word (ours:__name__) of third is no core.model.plugin.Sched",
        "null is claimed by apftui (plugins.sched.null:Null) and third (ours:Ours)",
    ]
    for line, part in zip(wrong, expected, strict=True):
        assert part in line
