"""What the state folder tells to whoever reads it beside the factory, or while none runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.model.errors import StateError
from core.model.text import clean
from core.state.ledger import LedgerReader


@contextmanager
def ledger(folder: Path) -> Iterator[LedgerReader | None]:
    """Open the ledger for reading; None if no factory ever ran here. Nothing is written.

    Raise StateError if it is there and cannot be read.
    """
    path = folder / "state.db"
    try:
        path.stat()
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        reader = LedgerReader.open(folder)
        try:
            yield reader
        finally:
            reader.close()
    except sqlite3.Error as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, problem: str) -> StateError:
    return StateError(f"cannot read {path}: {clean(problem)}", "ask as the factory's own account")
