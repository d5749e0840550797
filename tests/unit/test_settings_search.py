"""Where the settings file is looked for, and what is said when it is nowhere."""

from pathlib import Path

import pytest

from core.model.errors import SettingsError
from core.settings import search
from core.settings.search import SYSTEM, NoSettings, find_settings


def file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for /etc, which a test may not write to; the current folder holds a bait."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for bait in ("factory.toml", "apftui/factory.toml", ".config/apftui/factory.toml"):
        file(tmp_path / "here" / bait)
    monkeypatch.setattr(search, "SYSTEM", tmp_path / "etc" / "factory.toml")
    return tmp_path / "etc" / "factory.toml"


def test_the_systems_place_is_the_one_of_the_handbook() -> None:
    assert str(SYSTEM) == "/etc/apftui/factory.toml"


def test_the_first_place_that_has_it_wins(tmp_path: Path, home: Path, system: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    file(system)
    assert find_settings(None, environ) == system
    in_home = file(home / ".config/apftui/factory.toml")
    assert find_settings(None, environ) == system, "XDG_CONFIG_HOME stands for ~/.config"
    assert find_settings(None, {}) == in_home
    assert find_settings(None, {"XDG_CONFIG_HOME": "."}) == in_home, "relative is invalid"
    in_xdg = file(tmp_path / "xdg/apftui/factory.toml")
    assert find_settings(None, environ) == in_xdg
    named = file(tmp_path / "named.toml")
    assert find_settings(None, {**environ, "APFTUI_CONFIG": str(named)}) == named
    given = file(tmp_path / "given.toml")
    assert find_settings(given, {**environ, "APFTUI_CONFIG": str(named)}) == given


def test_nowhere_names_every_place_and_never_the_current_folder(home: Path, system: Path) -> None:
    with pytest.raises(NoSettings) as caught:
        find_settings(None, {})
    said = str(caught.value)
    for place in ("--config", "$APFTUI_CONFIG", f"{home}/.config/apftui/factory.toml", str(system)):
        assert place in said
    assert "apftui init" in said


@pytest.mark.parametrize("by", ["--config", "$APFTUI_CONFIG"])
def test_a_file_asked_for_by_name_is_not_replaced_by_another(
    by: str, tmp_path: Path, system: Path
) -> None:
    file(system)
    wrong = tmp_path / "wrong.toml"
    given = wrong if by == "--config" else None
    with pytest.raises(SettingsError) as caught:
        find_settings(given, {"APFTUI_CONFIG": str(wrong)})
    assert not isinstance(caught.value, NoSettings)
    assert str(wrong) in str(caught.value)
    assert by in str(caught.value)
