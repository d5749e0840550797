"""history-YYYYMMDD.db: every decision with its facts, one file a day; retention is unlink."""

import datetime
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from core.model.errors import StateError
from core.state.database import open_database, open_readonly, transaction

log = logging.getLogger("apftui.history")

_MIGRATIONS = (
    """
    create table decisions (
        id integer primary key, queue text not null, cycle integer not null,
        last_cycle integer not null, at real not null, last_at real not null,
        facts text not null, decision text not null, submissions text not null
    );
    create index decisions_by_queue on decisions (queue, cycle);
    """,
)


class Record(NamedTuple):
    """One decision as it is kept. `facts` and `decision` are JSON objects."""

    queue: str
    cycle: int
    last_cycle: int
    at: float
    last_at: float
    facts: dict[str, Any]
    decision: dict[str, Any]
    submissions: tuple[str, ...]


class History:
    """The one writer of the history. A decision equal to the one before costs no row."""

    def __init__(self, folder: Path, days: int) -> None:
        self._folder = folder
        self._days = days
        self._path: Path | None = None
        self._db: sqlite3.Connection | None = None
        self._last: dict[str, tuple[int, str]] = {}

    def record(self, cycle: int, at: float, rows: Iterable[Record]) -> None:
        """Keep the decisions of one pass. Raise StateError if they cannot be written."""
        database, path = self._of_day(at)
        fresh: dict[str, tuple[int, str]] = {}
        with transaction(database, path) as db:
            for row in rows:
                facts = json.dumps(row.facts, separators=(",", ":"))
                decision = json.dumps(row.decision, separators=(",", ":"))
                digest = hashlib.sha256((facts + decision).encode()).hexdigest()
                last = self._last.get(row.queue)
                if last is not None and last[1] == digest and not row.submissions:
                    db.execute(
                        "update decisions set last_cycle = ?, last_at = ? where id = ?",
                        (cycle, at, last[0]),
                    )
                    continue
                made = db.execute(
                    "insert into decisions (queue, cycle, last_cycle, at, last_at, facts,"
                    " decision, submissions) values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (row.queue, cycle, cycle, at, at, facts, decision, json.dumps(row.submissions)),
                )
                assert made.lastrowid is not None
                # A row that names submissions stays theirs alone.
                fresh[row.queue] = (made.lastrowid, "" if row.submissions else digest)
        self._last |= fresh  # only now are they there

    def close(self) -> None:
        """Close the day's file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _of_day(self, at: float) -> tuple[sqlite3.Connection, Path]:
        path = self._folder / f"history-{_day(at)}.db"
        if self._db is None or path != self._path:
            self.close()
            self._last.clear()
            try:
                self._db = open_database(path, _MIGRATIONS, durable=False)
            except sqlite3.Error as error:
                raise StateError(
                    f"cannot open {path}: {error}", "make room on its disk, or move it away"
                ) from error
            self._path = path
            self._expire(at)
        return self._db, path

    def _expire(self, at: float) -> None:
        oldest = f"history-{_day(at - self._days * 86400)}.db"
        for path in files(self._folder):
            if path.name < oldest:
                try:
                    for suffix in ("", "-wal", "-shm"):
                        path.with_name(path.name + suffix).unlink(missing_ok=True)
                except OSError as error:  # it costs its room, no pass
                    log.warning("cannot remove %s: %s", path, error.strerror)


def files(folder: Path) -> list[Path]:
    """Return the history files of a state folder, oldest day first."""
    return sorted(folder.glob("history-????????.db"))


def recent(folder: Path, queue: str, limit: int) -> list[Record]:
    """Return the newest decisions of a queue, newest first; works while no factory runs.

    A damaged file costs its day. Raise sqlite3.OperationalError if one cannot be opened.
    """
    found: list[Record] = []
    for path in reversed(files(folder)):
        try:
            found.extend(_read(path, queue, limit - len(found)))
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            log.warning("%s is damaged, its decisions are not shown: %s", path, error)
        if len(found) >= limit:
            break
    return found


def _read(path: Path, queue: str, limit: int) -> Iterator[Record]:
    database = open_readonly(path)
    try:
        if database.execute("pragma user_version").fetchone()[0] == 0:
            return  # the disk was full when that day began
        rows = database.execute(
            "select * from decisions where queue = ? order by cycle desc limit ?", (queue, limit)
        )
        for row in rows:
            yield Record(
                queue=row["queue"],
                cycle=row["cycle"],
                last_cycle=row["last_cycle"],
                at=row["at"],
                last_at=row["last_at"],
                facts=json.loads(row["facts"]),
                decision=json.loads(row["decision"]),
                submissions=tuple(json.loads(row["submissions"])),
            )
    finally:
        database.close()


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y%m%d")
