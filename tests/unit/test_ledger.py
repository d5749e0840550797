"""The ledger: whole commits that survive a kill, damage set aside, newer schemas refused."""

import random
import signal
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import StateError
from core.model.submission import Intent, IntentState
from core.state import clock
from core.state.ledger import Ledger, LedgerReader


def intent(n: int = 3, **more: Any) -> Intent:
    fields: dict[str, Any] = {
        "submission": str(uuid.uuid4()),
        "queue": "Q",
        "batch": "here",
        "submit_plugin": "local",
        "schedd": "local:/p",
        "n": n,
        "epoch": 1,
        "cycle": 1,
        "wrapper": "w",
        "description": "d",
        "state": IntentState.INTENT,
        "at": clock.wall(),
        "boottime": clock.boottime(),
        "boot_id": clock.boot_id(),
    }
    return Intent(**{**fields, **more})


def submissions(folder: Path) -> set[str]:
    reader = LedgerReader.open(folder)
    try:
        return {i.submission for i in reader.newest(100_000)}
    finally:
        reader.close()


def test_intents_are_written_all_or_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    one, two = intent(), intent()
    ledger.write_intents([one])
    with pytest.raises(StateError, match=r"cannot write .*state\.db"):
        ledger.write_intents([two, one])  # the second is there already
    assert submissions(tmp_path) == {one.submission}
    ledger.write_intents([two])  # the failed write left no transaction open
    assert submissions(tmp_path) == {one.submission, two.submission}


def test_a_reader_sees_a_commit_at_once_and_gets_back_what_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    reader = LedgerReader.open(tmp_path)
    wanted = intent(detail='"quoted" \n[/x]')
    ledger.write_intents([wanted])
    assert reader.intent(wanted.submission) == wanted
    ledger.resolve(wanted.submission, IntentState.CONFIRMED, "found", "7.0")
    found = reader.intent(wanted.submission)
    assert found is not None
    assert (found.state, found.cluster, found.detail) == (IntentState.CONFIRMED, "7.0", "found")
    assert found.resolved_at is not None
    assert reader.last_confirmed("local:/p") == found
    assert reader.last_confirmed("another") is None


def test_what_is_unresolved_is_kept_however_old_it_is(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    old, older, done = intent(at=2000.0), intent(at=1000.0), intent(at=3000.0)
    ledger.write_intents([old, older, done])
    ledger.resolve(done.submission, IntentState.ABSENT, "")
    ledger.resolve(old.submission, IntentState.CONFLICT, "two clusters")
    reader = LedgerReader.open(tmp_path)
    assert [i.submission for i in reader.unresolved()] == [older.submission, old.submission]
    assert {i.submission for i in reader.recent(clock.wall() - 60)} == {
        i.submission for i in (old, older, done)
    }
    assert {i.submission for i in reader.recent(clock.wall() + 60)} == {
        older.submission,
        old.submission,
    }


def test_epoch_and_cycle_go_on_over_restarts(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        ledger = Ledger(tmp_path)
        assert (ledger.next_epoch(), ledger.next_cycle()) == (expected, expected)
        ledger.close()
    reader = LedgerReader.open(tmp_path)
    assert reader.epoch() == 3


_WRITE_AND_DIE = """
import os, sys, uuid
from pathlib import Path
from core.state.ledger import Ledger
sys.path.insert(0, sys.argv[2])
from tests.unit.test_ledger import intent
ledger = Ledger(Path(sys.argv[1]))
while True:
    one = intent()
    ledger.write_intents([one])
    os.write(1, f"{one.submission}\\n".encode())
"""


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    repository = str(Path(__file__).parents[2])
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITE_AND_DIE, str(tmp_path), repository],
            stdout=subprocess.PIPE,
            text=True,
            cwd=repository,
        )
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        told += writer.stdout.readlines()
        assert writer.wait() == -signal.SIGKILL
        ledger = Ledger(tmp_path)
        assert ledger.alarm is None
        ledger.close()
        assert {line.strip() for line in told if line.endswith("\n")} <= submissions(tmp_path)


def test_a_schema_of_a_newer_version_is_refused_and_untouched(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("pragma user_version = 99")
    with pytest.raises(StateError, match=r"has schema 99.*install the newer apftui again"):
        Ledger(tmp_path)
    assert sqlite3.connect(tmp_path / "state.db").execute("pragma user_version").fetchone() == (99,)
    assert list(tmp_path.glob("*damaged*")) == []


def filled(folder: Path) -> Path:
    ledger = Ledger(folder)
    ledger.write_intents([intent(description="x" * 2000) for _ in range(100)])
    ledger.close()
    return folder / "state.db"


def set_aside(folder: Path) -> Path:
    (aside,) = folder.glob("state.db.damaged-*")
    return aside


def test_garbage_is_set_aside_with_an_alarm_that_names_it(tmp_path: Path) -> None:
    garbage = b"not a database " * 1000
    (tmp_path / "state.db").write_bytes(garbage)
    ledger = Ledger(tmp_path)
    assert ledger.alarm is not None
    assert set_aside(tmp_path).name in ledger.alarm
    assert set_aside(tmp_path).read_bytes() == garbage
    ledger.write_intents([intent()])
    assert len(submissions(tmp_path)) == 1


@pytest.mark.parametrize("left", [50, 5000, 100_000])
def test_a_truncated_file_is_set_aside(tmp_path: Path, left: int) -> None:
    path = filled(tmp_path)
    assert path.stat().st_size > left
    with path.open("r+b") as file:
        file.truncate(left)
    ledger = Ledger(tmp_path)
    assert ledger.alarm is not None
    assert set_aside(tmp_path).stat().st_size == left


def test_a_flipped_page_is_set_aside(tmp_path: Path) -> None:
    path = filled(tmp_path)
    data = bytearray(path.read_bytes())
    page = 4096
    for i in range(5 * page, 6 * page):
        data[i] ^= 0xFF
    path.write_bytes(data)
    ledger = Ledger(tmp_path)
    assert ledger.alarm is not None
    assert set_aside(tmp_path).read_bytes() == data


def test_the_wal_of_a_damaged_file_goes_with_it(tmp_path: Path) -> None:
    filled(tmp_path)
    ledger = Ledger(tmp_path)
    ledger.write_intents([intent()])
    (tmp_path / "copy").mkdir()
    for suffix in ("", "-wal"):
        part = tmp_path / f"state.db{suffix}"
        (tmp_path / "copy" / part.name).write_bytes(part.read_bytes())
    (tmp_path / "copy" / "state.db").write_bytes(b"garbage " * 1000)
    assert Ledger(tmp_path / "copy").alarm is not None
    aside = [p.name for p in (tmp_path / "copy").glob("*damaged*")]
    assert sum(name.endswith("-wal") for name in aside) == 1
    assert submissions(tmp_path / "copy") == set()  # nothing of the old log came back


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_damaged_it_opens_sound_or_set_aside(tmp_path: Path, seed: int) -> None:
    path = filled(tmp_path)
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    for i in range(start, min(len(data), start + rng.choice([1, 16, 512, 8192]))):
        data[i] = rng.randrange(256)
    path.write_bytes(data)
    ledger = Ledger(tmp_path)
    one = intent()
    ledger.write_intents([one])
    reader = LedgerReader.open(tmp_path)
    assert reader.intent(one.submission) == one
    assert (ledger.alarm is not None) == bool(list(tmp_path.glob("*damaged*")))


def test_a_file_that_cannot_be_opened_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateError, match=r"cannot open .*state\.db.*check the folder's owner"):
        Ledger(tmp_path)
    assert list(tmp_path.glob("*damaged*")) == []


def test_actions_are_asked_then_settled(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    action = {
        "id": "a1",
        "at": 1.0,
        "by": "ann",
        "what": "pause Q",
        "why": "",
        "until": None,
        "undoes": None,
        "before": [{"queue": "Q", "key": "paused", "before": None, "after": None}],
    }
    ledger.ask(action)
    reader = LedgerReader.open(tmp_path)
    assert [a["id"] for a in reader.asked()] == ["a1"]
    ledger.settle_action("a1", "applied")
    assert reader.asked() == []
    assert reader.action("a1") == {**action, "state": "applied", "detail": ""}
