"""What is on disk: submissions, the pilots in them, and how a pilot's state is read.

`<path>/<submission>/submission.json` is the description as it was submitted, and
`<path>/<submission>/<i>/` the folder of pilot i, in which it runs:

    lock     flocked by its shim from before the start until after the exit code is written
    started  the shim's pid; the pilot is never started a second time
    exit     the exit code, or in one word why there is none
    out err  what the pilot prints
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from core.model.errors import SourceError, SubmitRefused
from core.model.submission import PilotJob
from core.model.text import clean

DESCRIPTION, LOCK, STARTED, EXIT = "submission.json", "lock", "started", "exit"


class State(StrEnum):
    """Where a pilot is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """Started, its shim is gone and left no exit code."""


class Submission(NamedTuple):
    """A submission that is on disk."""

    folder: Path
    job: PilotJob
    at: float
    """When it was written, Unix time."""

    def pilots(self) -> list[Path]:
        """Return the pilots' folders in order."""
        return [self.folder / str(i) for i in range(self.job.n)]


def schedd(path: Path) -> str:
    """Return the name under which intents for the pilots below `path` are filed."""
    return f"local:{path}"


def make(path: Path) -> None:
    """Make the folder of all pilots, for its owner only, if it is not there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def live(path: Path, since: float = 0.0) -> Iterator[Submission]:
    """Yield what `path` holds, in no order; a folder that is not there yet holds nothing.

    A submission whose folder has not changed after Unix time `since` is left out.
    Raise SourceError if the folder, or a description in it, cannot be trusted or read.
    """
    try:
        if path.stat().st_mode & 0o002:
            raise SourceError(f"{path} is writable by everyone", f"chmod o-w {path}")
        names = _names(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    for name in filter(_is_uuid, names):
        submission = find(path, name) if _changed(path / name) > since else None
        if submission is not None:
            yield submission


def _changed(folder: Path) -> float:
    """Return when a folder has changed, Unix time; 0 if it is not there any more."""
    try:
        return folder.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


def find(path: Path, submission: str) -> Submission | None:
    """Return a submission below `path`, None if it is not there; raise SourceError if unsure."""
    folder = path / submission
    try:
        with (folder / DESCRIPTION).open(encoding="utf-8") as file:
            job = PilotJob.model_validate(json.load(file))
            return Submission(folder, job, os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        if not os.path.lexists(folder):
            return None
        problem = "not there"
    except OSError as error:
        problem = str(error.strerror)
    except ValueError as error:
        problem = clean(str(error), 200)
    raise SourceError(
        f"cannot read {folder / DESCRIPTION}: {problem}", "move its folder out of there"
    )


def state(pilot: Path) -> State:
    """Tell where a pilot is; changes nothing."""
    try:
        names = _names(pilot)
    except FileNotFoundError:
        return State.ENDED  # filed away meanwhile
    if EXIT in names:
        return State.ENDED
    if STARTED not in names:
        return State.PENDING
    if locked(pilot):
        return State.RUNNING
    return State.ENDED if (pilot / EXIT).exists() else State.LOST


def locked(pilot: Path) -> bool:
    """Tell whether a started pilot's shim lives."""
    # A shared lock, so that two who ask at a time do not take each other for the shim.
    try:
        with _flocked(pilot / LOCK, os.O_RDONLY, fcntl.LOCK_SH) as got:
            return not got
    except FileNotFoundError:
        return False  # filed away meanwhile


@contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` for the time being; False if somebody else has it."""
    with _flocked(path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as got:
        yield got


@contextmanager
def _flocked(path: Path, flags: int, kind: int) -> Iterator[bool]:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def put(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def commit(path: Path, job: PilotJob, description: str) -> None:
    """Make the submission's folder appear whole, by one rename, or raise SubmitRefused."""
    if not _is_uuid(job.submission):
        raise SubmitRefused(f"{clean(job.submission, 80)!r} is no uuid")
    made = draft(path, job.submission)
    try:
        make(path)
        made.mkdir(mode=0o700)
        put(made / DESCRIPTION, description)
        for i in range(job.n):
            (made / str(i)).mkdir(mode=0o700)
        sync(made)
    except OSError as error:
        with suppress(OSError):
            shutil.rmtree(made)
        raise SubmitRefused(f"cannot write {made}: {error.strerror}") from None
    made.rename(path / job.submission)
    sync(path)


def draft(path: Path, submission: str) -> Path:
    """Return where a submission's folder is made, or taken apart: nobody looks there."""
    return path / f".{submission}.tmp"


def _names(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
