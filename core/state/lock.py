"""Locks of the state folder: one factory at a time, and none while an old submitter lives."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from core.model.errors import StateError
from core.model.text import clean
from core.state import clock

_TRIES = 5


class InUse(StateError):
    """Another factory holds the state folder."""


class StateLock:
    """Held as long as the factory process lives; names its holder to whoever comes second."""

    def __init__(self, folder: Path, started_by: str) -> None:
        """Take the lock. Raise InUse naming pid, host and start of the factory that has it."""
        path = folder / "factory.lock"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(
                f"cannot write {path}: {error.strerror}", "check the folder's owner and its disk"
            ) from error
        if not _taken(self._fd):
            os.close(self._fd)
            raise InUse(
                f"the state folder {folder} is in use by {holder(folder)}",
                "attach with `apftui`, or stop it with `apftui stop`",
            )
        told = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": clock.wall(),
            "started_by": started_by,
        }
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(told).encode(), 0)
        except OSError as error:
            os.close(self._fd)
            raise StateError(
                f"cannot write {path}: {error.strerror}", "make room on its disk"
            ) from error

    def release(self) -> None:
        """Let the next factory in."""
        os.close(self._fd)


def _taken(fd: int) -> bool:
    """Take a lock, unless somebody has it for more than an instant, as whoever asks `held` does."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def holder(folder: Path) -> str:
    """Describe the factory that holds the lock, for a person."""
    try:
        told = json.loads((folder / "factory.lock").read_text())
        return clean(f"the factory with pid {told['pid']} on {told['host']}", 100)
    except (OSError, ValueError, KeyError, TypeError):
        return "a factory that has just started"


def held(folder: Path) -> bool:
    """Tell whether a factory holds the state folder now."""
    try:
        fd = os.open(folder / "factory.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def open_submit_lock(folder: Path) -> int:
    """Return a descriptor of submit.lock.

    Every process that can commit a submission holds it shared until its death; a new factory
    takes it exclusively before it looks for what became of old intents.
    """
    return os.open(folder / "submit.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def no_submitter_lives(fd: int) -> bool:
    """Try submit.lock exclusively: True proves that no submitter of an older factory lives.

    None gets further than this lock then until `fd` is closed.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_submit_lock(fd: int) -> None:
    """Hold submit.lock shared until the process dies."""
    fcntl.flock(fd, fcntl.LOCK_SH)
