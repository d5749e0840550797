"""Ending pilots before they end by themselves."""

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.model.errors import SourceError
from plugins.local import pilots
from plugins.local.pilots import State

GRACE = 5.0
"""Seconds that a pilot gets after SIGTERM."""


def remove(folders: Sequence[Path]) -> None:
    """Cancel pilots that wait and end those that run; return when they are gone.

    Raise SourceError if one does not go.
    """
    started = [pilot for pilot in folders if not _cancelled(pilot)]
    shims = {fd: pilot for pilot in started if (fd := _pidfd(pilot)) is not None}
    try:
        for _ in range(2):  # the second signal makes the shim kill what is left
            for fd in shims:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fd, signal.SIGTERM)
            left = _wait(set(shims), GRACE)
            if not left:
                return
    finally:
        for fd in shims:
            os.close(fd)
    pilot = shims[left.pop()]
    raise SourceError(f"pilot {pilot} does not end", f"kill the process named in {pilot}/started")


def _cancelled(pilot: Path) -> bool:
    """Make sure that a waiting pilot never starts; False if its shim was first."""
    try:
        with pilots.lock(pilot / pilots.LOCK) as got:
            if not got:
                return False
            if pilots.state(pilot) is State.PENDING:
                pilots.put(pilot / pilots.EXIT, "removed\n")
    except FileNotFoundError:
        pass  # filed away: it has ended
    return True


def _pidfd(pilot: Path) -> int | None:
    """Return a handle of a pilot's shim, None if it has ended."""
    end = time.monotonic() + GRACE
    while pilots.locked(pilot):
        try:
            fd = os.pidfd_open(int((pilot / pilots.STARTED).read_text()))
        except ProcessLookupError:
            return None
        except FileNotFoundError as error:  # it is just starting
            if time.monotonic() > end:
                raise SourceError(f"pilot {pilot} neither starts nor ends") from error
            time.sleep(0.01)
            continue
        # The lock is held after the handle was made: the pid was the shim's and nobody else's.
        if pilots.locked(pilot):
            return fd
        os.close(fd)
    return None


def _wait(fds: set[int], timeout: float) -> set[int]:
    """Wait until the processes end; return those that did not."""
    end = time.monotonic() + timeout
    while fds and (left := end - time.monotonic()) > 0:
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        fds = fds - {fd for fd, _ in poll.poll(left * 1000)}
    return fds
