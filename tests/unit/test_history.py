"""History: decisions by day, equal ones in one row, old days unlinked, damage said and survived."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import StateError
from core.state.history import History, Record, files, recent

DAY = 86400.0
NOON = 20_000 * DAY + DAY / 2


def record(cycle: int, at: float, *, submit: int = 0, queue: str = "Q", **more: Any) -> Record:
    return Record(
        queue=queue,
        cycle=cycle,
        last_cycle=cycle,
        at=at,
        last_at=at,
        facts={"activated": 1},
        decision={"submit": submit},
        submissions=more.get("submissions", ()),
    )


def keep(history: History, cycle: int, at: float = NOON, **more: Any) -> None:
    history.record(cycle, at, [record(cycle, at, **more)])


def test_equal_decisions_in_a_row_are_one_row(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    for cycle in range(1, 6):
        keep(history, cycle, NOON + cycle)
    keep(history, 6, NOON + 6, submit=3)
    keep(history, 7, NOON + 7)
    found = recent(tmp_path, "Q", 10)
    assert [(r.cycle, r.last_cycle, r.decision["submit"]) for r in found] == [
        (7, 7, 0),
        (6, 6, 3),
        (1, 5, 0),
    ]
    assert (found[2].at, found[2].last_at) == (NOON + 1, NOON + 5)


def test_a_decision_with_submissions_has_a_row_of_its_own(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1, submit=3, submissions=("a",))
    keep(history, 2, submit=3, submissions=("b",))
    keep(history, 3, submit=3)
    found = recent(tmp_path, "Q", 10)
    assert [(r.cycle, r.last_cycle, r.submissions) for r in found] == [
        (3, 3, ()),
        (2, 2, ("b",)),
        (1, 1, ("a",)),
    ]


def test_queues_do_not_extend_each_others_rows(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    for cycle in (1, 2):
        history.record(cycle, NOON, [record(cycle, NOON), record(cycle, NOON, queue="R")])
    for queue in ("Q", "R"):
        assert [(r.cycle, r.last_cycle) for r in recent(tmp_path, queue, 10)] == [(1, 2)]


def test_each_utc_day_has_its_file_and_the_newest_come_first(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1, NOON)
    keep(history, 2, NOON + DAY)
    keep(history, 3, NOON + DAY, submit=1)
    assert [p.name for p in files(tmp_path)] == ["history-20241004.db", "history-20241005.db"]
    assert [r.cycle for r in recent(tmp_path, "Q", 10)] == [3, 2, 1]
    assert [r.cycle for r in recent(tmp_path, "Q", 2)] == [3, 2]


def test_old_days_are_unlinked_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    history = History(tmp_path, 2)
    for day in range(5):
        keep(history, day + 1, NOON + day * DAY)
    history.close()
    assert [p.name for p in files(tmp_path)] == [
        "history-20241006.db",
        "history-20241007.db",
        "history-20241008.db",
    ]
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in files(tmp_path)}


def test_a_clock_that_goes_back_a_day_loses_nothing(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1, NOON + DAY)
    keep(history, 2, NOON)
    keep(history, 3, NOON + DAY)
    assert sorted(r.cycle for r in recent(tmp_path, "Q", 10)) == [1, 2, 3]


def test_a_new_factory_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for cycle in (1, 2):
        history = History(tmp_path, 30)
        keep(history, cycle)
        history.close()
    assert [r.cycle for r in recent(tmp_path, "Q", 10)] == [2, 1]


def test_a_pass_that_could_not_be_written_is_not_taken_for_written(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1)
    (path,) = files(tmp_path)
    with sqlite3.connect(path) as other:
        # The second row of a pass is refused: the first must not stay half known.
        other.execute(
            "create trigger full before insert on decisions when new.queue = 'R'"
            " begin select raise(abort, 'disk is full'); end"
        )
    with pytest.raises(StateError, match=r"disk is full.*make room"):
        history.record(2, NOON, [record(2, NOON, submit=5), record(2, NOON, queue="R")])
    with sqlite3.connect(path) as other:
        other.execute("drop trigger full")
    keep(history, 3, submit=5)
    assert [(r.cycle, r.decision["submit"]) for r in recent(tmp_path, "Q", 10)] == [(3, 5), (1, 0)]


def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "history-20241004.db").write_bytes(b"no database at all " * 300)
    with pytest.raises(StateError, match=r"history-20241004\.db.*move it away"):
        keep(History(tmp_path, 30), 1)


def test_a_damaged_day_does_not_hide_the_others(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1, NOON)
    keep(history, 2, NOON + DAY)
    history.close()
    (tmp_path / "history-20241005.db").write_bytes(b"no database at all " * 300)
    assert [r.cycle for r in recent(tmp_path, "Q", 10)] == [1]


def test_no_history_is_an_empty_list(tmp_path: Path) -> None:
    assert recent(tmp_path, "Q", 10) == []


def test_a_day_that_began_on_a_full_disk_does_not_hide_the_others(tmp_path: Path) -> None:
    history = History(tmp_path, 30)
    keep(history, 1, NOON)
    history.close()
    (tmp_path / "history-20241005.db").touch()
    assert [r.cycle for r in recent(tmp_path, "Q", 10)] == [1]


def test_an_old_day_that_cannot_be_removed_hinders_no_pass(tmp_path: Path) -> None:
    (tmp_path / "history-20200101.db" / "in the way").mkdir(parents=True)
    history = History(tmp_path, 2)
    keep(history, 1)
    keep(history, 2)
    history.close()
    assert (tmp_path / "history-20200101.db").exists()


def test_the_error_names_what_the_disk_said(tmp_path: Path) -> None:
    """SQLite rolls back by itself when the disk is full."""
    history = History(tmp_path, 30)
    keep(history, 1)
    assert history._db is not None
    pages = history._db.execute("pragma page_count").fetchone()[0]
    history._db.execute(f"pragma max_page_count = {pages}")
    many = [record(2, NOON, queue=f"Q{i}" * 500) for i in range(200)]
    with pytest.raises(StateError, match=r"full; make room"):
        history.record(2, NOON, many)
