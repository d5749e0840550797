"""Starting pilots that wait, oldest first, up to the slots."""

import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

from core.model.errors import SourceError
from core.model.text import clean
from plugins.local import pilots, shim
from plugins.local.pilots import State


def start_waiting(path: Path, slots: int) -> list[str]:
    """Start pilots until `slots` of all below `path` run; return a line on what was done.

    Returns when their shims are marked as started; they belong to no process of ours then.
    """
    with pilots.lock(path / ".starter") as got:
        if not got:
            return []  # somebody is at it; what it does not see yet is started next time
        waiting, running = [], 0
        for submission in sorted(pilots.live(path), key=attrgetter("at", "folder")):
            for pilot in submission.pilots():
                state = pilots.state(pilot)
                running += state is State.RUNNING
                if state is State.PENDING:
                    waiting.append(pilot)
        return _start(waiting[: max(0, slots - running)])


def _start(waiting: list[Path]) -> list[str]:
    shims = []
    failed = []
    for pilot in waiting:
        try:
            shims.append((pilot, _shim(pilot)))
        except (OSError, SourceError) as error:
            failed.append(f"cannot start pilot {pilot}: {clean(str(error))}")
    codes = [(pilot, process.wait()) for pilot, process in shims]
    failed += [
        f"cannot start pilot {pilot}: its shim ended with {code}; see {pilot}/err"
        for pilot, code in codes
        if code not in (shim.IS_STARTED, shim.NOT_OURS)
    ]
    started = sum(code == shim.IS_STARTED for _, code in codes)
    return ([f"started {started} waiting pilots"] if started else []) + failed


def _shim(pilot: Path) -> subprocess.Popen[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    out = os.open(pilot / "out", flags, 0o600)
    err = os.open(pilot / "err", flags, 0o600)
    try:
        # -I -S: nothing of our environment, and a quick start.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", shim.__file__, str(pilot)],
            cwd=pilot,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    finally:
        os.close(out)
        os.close(err)
