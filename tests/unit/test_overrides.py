"""Overrides: laid on top, kept in one file, set aside when they no longer fit, undone."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import NotFound, SettingsError, Stale, StateError
from core.settings.load import Layers, read_layers, resolve, validate_change
from core.settings.overrides import (
    FILE,
    NO_OVERRIDES,
    Override,
    Overrides,
    expired,
    override,
    read,
    set_,
    set_aside,
    undo,
    undo_material,
    unset,
    write,
)
from core.settings.schema import Orphan

SETTINGS = """
[factory]
name = "test-01"
state = "state"
[wms.jobs]
plugin = "directory"
path = "payloads"
[batch.here]
plugin = "local"
path = "pilots"
[defaults]
wms = "jobs"
batch = "here"
chain = ["ready", "max-pending"]
[defaults.sched.max-pending]
maximum = 100
[queues.Q]
[queues.R]
"""


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return layers_of(tmp_path, SETTINGS)


def layers_of(folder: Path, text: str) -> Layers:
    (folder / "factory.toml").write_text(text)
    return read_layers(folder / "factory.toml")


def entry(key: str, value: Any, queue: str = "Q", action: str = "a1", **more: Any) -> Override:
    return override(queue, key, value, **{"action": action, "by": "ann", "at": 1.5, **more})


def having(*entries: Override) -> Overrides:
    overrides = NO_OVERRIDES
    for one in entries:
        overrides = set_(overrides, one)
    return overrides


def maximum(layers: Layers, overrides: Overrides, queue: str = "Q") -> object:
    link = resolve(layers, overrides).queues[queue].chain[1]
    return link.params.model_dump()["maximum"]


def test_an_override_is_the_top_layer_of_its_queue_alone(layers: Layers) -> None:
    overrides = having(entry("paused", True), entry("sched.max-pending.maximum", 5))
    settings = resolve(layers, overrides)
    assert settings.orphans == ()
    queue = settings.queues["Q"]
    assert queue.paused
    shown = {v.key: (v.value, v.layer, v.where) for v in queue.values}
    assert shown["paused"] == (True, "override", "overrides.toml (ann)")
    assert shown["sched.max-pending.maximum"] == (5, "override", "overrides.toml (ann)")
    assert settings.queues["R"] == layers.base.queues["R"]
    assert queue.revision != layers.base.queues["Q"].revision
    assert resolve(layers, NO_OVERRIDES) == layers.base


def test_keys_of_any_depth_and_spelling(layers: Layers) -> None:
    overrides = having(
        entry("attributes.maxMemory", 2000),
        entry('attributes."+Odd"', "x"),
        entry("environment.A", "1"),
        entry("wrapper_parameters", {"command": ["sleep", "1"]}),
        entry("chain", ["fixed"]),
        entry("sched.fixed.pilots_per_cycle", 3),
    )
    settings = resolve(layers, overrides)
    assert settings.orphans == ()
    queue = settings.queues["Q"]
    assert queue.attributes == {"maxMemory": 2000, "+Odd": "x"}
    assert queue.environment == {"A": "1"}
    assert queue.wrapper_parameters == {"command": ["sleep", "1"]}
    assert [link.plugin for link in queue.chain] == ["fixed"]


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("pausd", True, "unknown key pausd; did you mean paused?"),
        ("paused", "yes", 'paused = "yes": should be a valid boolean; write true or false'),
        ("paused", 1, "paused = 1: "),
        ("sched.max-pending.maximum", True, "maximum = true: "),
        ("sched.max-pending.maximum", "5", 'maximum = "5": '),
        ("sched.max-pending.maximum", 5.5, "maximum = 5.5: "),
        ("sched.max-pending.maximum", -1, "maximum = -1: "),
        ("sched.max-pending.maximun", 5, "unknown key maximun; did you mean maximum?"),
        ("sched.max-pendin.maximum", 5, "did you mean max-pending?"),
        ("sched.scale.factor", 0.5, "step scale is not in the queue's chain (ready, max-pending)"),
        ("chain", ["ready", "max-to-run"], "step max-to-run is in the chain without its maximum"),
        ("chain", ["redy"], "did you mean ready?"),
        ("batch", "heer", "did you mean here?"),
        ("wms", "job", "did you mean jobs?"),
        ("submit.plugin", "lokal", "did you mean local?"),
        ("sched", 5, "sched = 5: "),
        ("sched.max-pending", 5, "max-pending = 5: should be an object; write it as a table"),
        ("name", "X", "unknown key name"),
    ],
)
def test_one_that_does_not_fit_is_an_orphan_and_its_neighbours_hold(
    layers: Layers, key: str, value: Any, problem: str
) -> None:
    good, bad = entry("attributes.x", 1), entry(key, value)
    for overrides in (having(good, bad), having(bad, good)):
        settings = resolve(layers, overrides)
        (orphan,) = settings.orphans
        assert (orphan.queue, orphan.key, orphan.value) == ("Q", key, value)
        assert problem in orphan.problem
        assert settings.queues["Q"].attributes == {"x": 1}
        with pytest.raises(SettingsError) as caught:
            validate_change(layers, overrides, bad)
        assert problem in str(caught.value)
        validate_change(layers, overrides, good)


def test_overrides_that_only_fit_together_do(layers: Layers) -> None:
    chain = entry("chain", ["ready", "max-to-run"])
    cap = entry("sched.max-to-run.maximum", 7)
    assert resolve(layers, having(cap, chain)).orphans == ()
    assert resolve(layers, having(chain, cap)).orphans == ()
    (orphan,) = resolve(layers, having(cap)).orphans
    assert "not in the queue's chain" in orphan.problem


def test_another_chain_leaves_the_parameters_of_the_files_chain_alone(tmp_path: Path) -> None:
    text = SETTINGS + "[queues.S.sched.max-pending]\nmaximum = 1\n"
    settings = resolve(layers_of(tmp_path, text), having(entry("chain", ["null"], queue="S")))
    assert settings.orphans == ()
    assert [link.plugin for link in settings.queues["S"].chain] == ["null"]
    assert not any(v.key.startswith("sched") for v in settings.queues["S"].values)


def test_a_queue_that_left_the_settings(tmp_path: Path) -> None:
    overrides = having(entry("paused", True), entry("paused", True, queue="R"))
    settings = resolve(
        layers_of(tmp_path, SETTINGS.replace("[queues.Q]", "[queues.Q2]")), overrides
    )
    (orphan,) = settings.orphans
    assert orphan.problem == "there is no queue Q; did you mean Q2?"
    assert settings.queues["R"].paused


def test_an_orphan_that_was_set_aside_does_not_come_back_by_itself(tmp_path: Path) -> None:
    without = layers_of(tmp_path, SETTINGS.replace("[queues.Q]", ""))
    overrides = having(entry("paused", True), entry("paused", True, queue="R"))
    kept = set_aside(overrides, resolve(without, overrides).orphans)
    again = resolve(layers_of(tmp_path, SETTINGS), kept)
    assert [orphan.queue for orphan in again.orphans] == ["Q"]
    assert not again.queues["Q"].paused
    assert again.queues["R"].paused
    anew = resolve(layers_of(tmp_path, SETTINGS), set_(kept, entry("paused", True)))
    assert anew.orphans == ()
    assert anew.queues["Q"].paused


def test_setting_replaces_and_unsetting_restores_the_settings(layers: Layers) -> None:
    key = "sched.max-pending.maximum"
    overrides = having(entry(key, 5), entry(key, 6, action="a2"), entry(key, 9, queue="R"))
    assert (maximum(layers, overrides), maximum(layers, overrides, "R")) == (6, 9)
    assert len(overrides.entries) == 2
    without = unset(overrides, "Q", key, "a4")
    assert (maximum(layers, without), maximum(layers, without, "R")) == (100, 9)
    assert without.action == "a4"
    with pytest.raises(NotFound, match=r"queue Q has no override of sched.max-pending.maximum"):
        unset(without, "Q", key, "a5")


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        float("inf"),
        [1, None],
        {"x": float("nan")},
        "\ud800",
        {"\ud800": 1},
        [{"\ud800": 1}],
    ],
)
def test_a_value_that_no_setting_may_have_is_refused(value: object) -> None:
    with pytest.raises(SettingsError, match=r"^attributes"):
        entry("attributes.x", value)


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="is no key"):
        entry("paused = true\nx", 1)


def test_expiry_counts_from_the_time_given_and_not_from_any_clock() -> None:
    short, long, ever = entry("a", 1, until=10.0), entry("b", 1, until=20.0), entry("c", 1)
    overrides = having(short, long, ever)
    assert expired(overrides, 9.9) == ()
    assert expired(overrides, 10.0) == (short,)
    assert expired(overrides, 1e9) == (short, long), "also after the factory was down for long"


def test_undo_puts_back_what_stood_before_and_also_nothing() -> None:
    key = "sched.max-pending.maximum"
    first = having(entry(key, 5))
    second = set_(set_(first, entry(key, 6, action="a2")), entry("paused", True, action="a2"))
    material = undo_material(first, second)
    undone = undo(second, material, "a3")
    assert undone == first.model_copy(update={"action": "a3"})
    assert undo(undone, undo_material(NO_OVERRIDES, first), "a4").entries == ()


def test_undo_of_a_removal() -> None:
    first = having(entry("paused", True))
    removed = unset(first, "Q", "paused", "a2")
    assert undo(removed, undo_material(first, removed), "a3").entries == first.entries


def test_undo_after_someone_elses_change_is_refused_whole() -> None:
    first = having(entry("paused", True), entry("attributes.x", 1))
    material = undo_material(NO_OVERRIDES, first)
    changed = set_(first, entry("attributes.x", 1, action="b1", by="bob"))
    with pytest.raises(Stale, match=r"attributes.x of queue Q has been changed since by bob"):
        undo(changed, material, "a2")
    with pytest.raises(Stale):
        undo(unset(first, "Q", "paused", "b2"), material, "a2")


def test_a_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    hostile = 'q"\\n$(x){{y}}[/x]\\x1b\\x07'
    overrides = having(
        entry("paused", True, queue=hostile, why='up\x1b[2J "now"', until=99.5),
        entry("wrapper_parameters", {"a": {"b": [1, 2.5, True, "é"]}}),
    )
    gone = Orphan(queue=hostile, key="paused", value=True, problem="gone")
    overrides = set_aside(overrides, [gone])
    assert overrides.entries[0].orphaned == "gone"
    write(tmp_path / FILE, overrides)
    assert read(tmp_path / FILE) == overrides
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == [FILE]
    assert read(tmp_path / "none" / FILE) == NO_OVERRIDES


values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)


@given(value=values, queue=st.text(), why=st.text())
def test_whatever_is_accepted_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, value: Any, queue: str, why: str
) -> None:
    path = tmp_path_factory.getbasetemp() / FILE
    try:
        overrides = having(entry("attributes.x", value, queue=queue, why=why))
    except SettingsError:
        return
    write(path, overrides)
    assert read(path) == overrides


def test_a_crash_before_the_rename_leaves_the_old_overrides(tmp_path: Path) -> None:
    old = having(entry("paused", True))
    write(tmp_path / FILE, old)
    (left,) = set(temporary_name(tmp_path)) - {FILE}
    (tmp_path / left).write_text('version = 1\naction = "half')
    assert read(tmp_path / FILE) == old
    new = unset(old, "Q", "paused", "a2")
    write(tmp_path / FILE, new)
    assert read(tmp_path / FILE) == new
    assert names_in(tmp_path) == [FILE], "what the crash left is gone too"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def temporary_name(folder: Path) -> list[str]:
    """The names in `folder` at the moment when the new file cannot take its place."""
    blocked = folder / "blocked"
    (blocked / FILE).mkdir(parents=True)
    with pytest.raises(StateError):
        write(blocked / FILE, NO_OVERRIDES)
    names = names_in(blocked)
    for name in names:
        (blocked / name).rmdir() if name == FILE else (blocked / name).unlink()
    blocked.rmdir()
    return names


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_and_the_old_overrides_stand(tmp_path: Path) -> None:
    old = having(entry("paused", True))
    write(tmp_path / FILE, old)
    (left,) = set(temporary_name(tmp_path)) - {FILE}
    (tmp_path / left).symlink_to("/dev/full")
    with pytest.raises(StateError, match="cannot be written: No space left on device; make room"):
        write(tmp_path / FILE, NO_OVERRIDES)
    assert read(tmp_path / FILE) == old


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "has no version"),
        (b"version = 2\n", "damaged at version"),
        (b"version = 1\naction = ", "line 2"),
        (b"version = 1\n[[entries]]\nqueue = 'Q'\n", "damaged at entries.0.key"),
        (b"version = 1\nentries = 5\n", "damaged at entries"),
        (b"version = 1\nextra = 5\n", "damaged at extra"),
        (b"\x00\xff", "not UTF-8"),
        (
            b"version=1\n[[entries]]\nqueue='Q'\nkey='paused'\nvalue=2020-01-01\nby='a'\nat=1\n"
            b"action='a'\n",
            "dates and times",
        ),
    ],
)
def test_a_damaged_file_is_never_ignored(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert part in str(caught.value)
    assert "paused queues would start again" in caught.value.cure


def test_an_entry_by_hand_is_judged_like_any_other(tmp_path: Path, layers: Layers) -> None:
    base = {"by": "root", "at": 0.0, "action": "by hand", "queue": "Q"}
    entries = [{**base, "key": "paused", "value": True}, {**base, "key": "x = 1 #", "value": 1}]
    (tmp_path / FILE).write_text(tomli_w.dumps({"version": 1, "entries": entries}))
    settings = resolve(layers, read(tmp_path / FILE))
    assert settings.queues["Q"].paused
    (orphan,) = settings.orphans
    assert "is no key" in orphan.problem
