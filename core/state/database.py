"""Opening SQLite: schema versions, durability, and errors that name the file."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.model.errors import StateError
from core.model.text import clean


def open_database(path: Path, migrations: Sequence[str], *, durable: bool) -> sqlite3.Connection:
    """Open `path` for its one writer, and bring its schema up to `len(migrations)`.

    `durable`: a commit survives the loss of power (synchronous=FULL). Raise sqlite3.DatabaseError
    if the file is no sound database, StateError if it is from a newer version of the program.
    """
    if not path.exists():
        # The folder may be open to a group for the sake of the socket in it.
        with contextlib.suppress(OSError):  # SQLite says what is wrong
            path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode=wal")
        connection.execute(f"pragma synchronous={'full' if durable else 'normal'}")
        version = connection.execute("pragma user_version").fetchone()[0]
        if version > len(migrations):
            raise StateError(
                f"{path} has schema {version}, this program knows up to {len(migrations)}",
                "install the newer apftui again, or start with another state folder",
            )
        for number in range(version, len(migrations)):
            connection.executescript(
                f"begin; {migrations[number]}; pragma user_version={number + 1}; commit;"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def open_readonly(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading while another process may write it."""
    # A writer keeps a WAL. Without one nobody writes, and SQLite must not leave one there for us.
    alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro{alone}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=5,
    )
    connection.row_factory = sqlite3.Row
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Commit what is done inside, whole or not at all. Raise StateError if it cannot be kept."""
    try:
        connection.execute("begin immediate")
        yield connection
        connection.execute("commit")
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("rollback")
        if not isinstance(error, sqlite3.Error):
            raise
        raise StateError(
            f"cannot write {path}: {clean(str(error))}",
            "make room on its disk, or mount it writable",
        ) from error
