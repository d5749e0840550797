"""state.db: intents before they are sent, what became of them, and operators' actions."""

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.model.errors import StateError
from core.model.submission import Intent, IntentState
from core.state import clock
from core.state.database import open_database, open_readonly, transaction

_MIGRATIONS = (
    """
    create table meta (key text primary key, value not null) without rowid;
    insert into meta values ('epoch', 0), ('cycle', 0);
    create table intents (
        submission text primary key, queue text not null, batch text not null,
        submit_plugin text not null, schedd text not null, n integer not null,
        epoch integer not null, cycle integer, wrapper text not null, description text not null,
        state text not null, at real not null, boottime real not null, boot_id text not null,
        cluster text, detail text not null, resolved_at real, resolved_boottime real
    ) without rowid;
    create index intents_by_state on intents (state);
    create index intents_by_queue on intents (queue, at);
    create index intents_by_time on intents (at);
    create table actions (
        id text primary key, at real not null, by text not null, what text not null,
        why text not null, until real, state text not null, undoes text, detail text not null,
        before text not null
    ) without rowid;
    create index actions_by_time on actions (at);
    """,
)


class Ledger:
    """The one writer of state.db. A commit that returned survives the loss of power."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.alarm: str | None = None
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            # "cannot open", "read-only", "disk full" are no corruption: setting aside a sound
            # ledger would forget what was sent.
            if isinstance(error, sqlite3.OperationalError):
                raise _unwritable(self.path, error) from error
            aside = self._set_aside()
            self.alarm = f"state.db was damaged and is set aside as {aside.name}: {error}"
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        database = open_database(self.path, _MIGRATIONS, durable=True)
        sound = database.execute("pragma quick_check(1)").fetchone()[0]
        if sound != "ok":
            database.close()
            raise sqlite3.DatabaseError(sound)
        return database

    def _set_aside(self) -> Path:
        aside = self.path.with_name(f"state.db.damaged-{int(clock.wall())}")
        for suffix in ("-wal", "-shm", ""):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return aside

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def next_epoch(self) -> int:
        """Begin an incarnation of the factory: submitters of older ones find it and give up."""
        return self._count("epoch")

    def next_cycle(self) -> int:
        """Return the number of the next pass; it goes on over restarts."""
        return self._count("cycle")

    def _count(self, key: str) -> int:
        with transaction(self._db, self.path) as db:
            db.execute("update meta set value = value + 1 where key = ?", (key,))
            return int(db.execute("select value from meta where key = ?", (key,)).fetchone()[0])

    def write_intents(self, intents: Sequence[Intent]) -> None:
        """Commit intents, all or none. Only then may anything be sent."""
        columns = list(Intent.model_fields)
        marks = ", ".join(f":{c}" for c in columns)
        with transaction(self._db, self.path) as db:
            db.executemany(
                f"insert into intents ({', '.join(columns)}) values ({marks})",  # noqa: S608
                [i.model_dump(mode="json") for i in intents],
            )

    def resolve(
        self, submission: str, state: IntentState, detail: str, cluster: str | None = None
    ) -> None:
        """Commit what became of an intent."""
        with transaction(self._db, self.path) as db:
            db.execute(
                "update intents set state = ?, detail = ?, cluster = coalesce(?, cluster),"
                " resolved_at = ?, resolved_boottime = ? where submission = ?",
                (state, detail, cluster, clock.wall(), clock.boottime(), submission),
            )

    def note(self, submission: str, detail: str) -> None:
        """Say what is being done about an intent that is not resolved yet."""
        with transaction(self._db, self.path) as db:
            db.execute("update intents set detail = ? where submission = ?", (detail, submission))

    def ask(self, action: dict[str, Any]) -> None:
        """Commit that an action was asked for, before it is done."""
        with transaction(self._db, self.path) as db:
            db.execute(
                "insert into actions values (:id, :at, :by, :what, :why, :until, 'asked',"
                " :undoes, '', :before)",
                {**action, "before": json.dumps(action["before"])},
            )

    def settle_action(self, action: str, state: str, detail: str = "") -> None:
        """Commit that an action was applied, or that it failed."""
        with transaction(self._db, self.path) as db:
            db.execute(
                "update actions set state = ?, detail = ? where id = ?", (state, detail, action)
            )


class LedgerReader:
    """Reads state.db; also while no factory runs, or another process writes it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    @classmethod
    def open(cls, folder: Path) -> "LedgerReader":
        """Open the state.db of `folder` read-only. Raise sqlite3.OperationalError if none."""
        return cls(open_readonly(folder / "state.db"))

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def epoch(self) -> int:
        """Return the newest incarnation of the factory."""
        return int(self._db.execute("select value from meta where key='epoch'").fetchone()[0])

    def intent(self, submission: str) -> Intent | None:
        """Return one intent."""
        found = self._intents("where submission = ?", submission)
        return found[0] if found else None

    def unresolved(self) -> list[Intent]:
        """Return intents whose outcome is unknown or in conflict, oldest first."""
        return self._intents("where state in ('intent', 'conflict') order by at")

    def recent(self, since: float) -> list[Intent]:
        """Return intents written, or resolved, since Unix time; and all unresolved ones."""
        return self._intents(
            "where at >= ? or resolved_at >= ? or state in ('intent', 'conflict') order by at",
            since,
            since,
        )

    def of_queue(self, queue: str, limit: int) -> list[Intent]:
        """Return the newest intents of a queue, newest first."""
        return self._intents("where queue = ? order by at desc limit ?", queue, limit)

    def newest(self, limit: int) -> list[Intent]:
        """Return the newest intents of all queues, newest first."""
        return self._intents("order by at desc limit ?", limit)

    def known(self, submissions: Sequence[str]) -> dict[str, Intent]:
        """Return those of `submissions` that the ledger has."""
        found = (self.intent(s) for s in submissions)
        return {i.submission: i for i in found if i is not None}

    def last_confirmed(self, schedd: str) -> Intent | None:
        """Return the submission that this schedd confirmed last."""
        found = self._intents(
            "where schedd = ? and state = 'confirmed' order by resolved_at desc limit 1", schedd
        )
        return found[0] if found else None

    def actions(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest actions, newest first, with what stood before."""
        return self._actions("order by at desc limit ?", limit)

    def action(self, action: str) -> dict[str, Any] | None:
        """Return one action by its id, or by so much of its beginning that no other has it."""
        found = self._actions("where substr(id, 1, ?) = ? limit 2", len(action), action)
        return found[0] if len(found) == 1 else None

    def asked(self) -> list[dict[str, Any]]:
        """Return actions of which nobody knows yet whether they were applied."""
        return self._actions("where state = 'asked' order by at")

    def _actions(self, where: str, *values: object) -> list[dict[str, Any]]:
        rows = self._db.execute(f"select * from actions {where}", values)  # noqa: S608
        return [{**row, "before": json.loads(row["before"])} for row in map(dict, rows)]

    def _intents(self, where: str, *values: object) -> list[Intent]:
        rows = self._db.execute(f"select * from intents {where}", values)  # noqa: S608
        return [Intent.model_validate(dict(row)) for row in rows]


def _unwritable(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"cannot open {path}: {error}", "check the folder's owner, and room on its disk"
    )
