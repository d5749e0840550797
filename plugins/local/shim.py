"""The process that stands by a pilot: `python -I -S shim.py <folder of the pilot>`.

Holds the pilot's lock, starts the wrapper, forwards signals, kills what the wrapper leaves behind
and writes the exit code. Standard library only, and nothing of ours: it must start quickly, and
go on when the installation is replaced under it.

SIGTERM, SIGINT, SIGHUP or SIGQUIT ask the wrapper to end; it is killed with all its descendants
after GRACE seconds, or at the second such signal.
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

IS_STARTED, NOT_OURS, FAILED = 0, 3, 4
"""Exit codes: the pilot is started; it was started or removed before; it could not be started."""

GRACE = 40.0
"""Seconds from the first signal to SIGKILL: longer than a wrapper gives its payload."""

ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
WATCHED = ENDING | {signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD}
HANDED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Of the factory's environment; the rest may hold what is none of the pilot's business."""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main(folder: Path) -> int:
    """Start the pilot in `folder` if it never was; return as soon as it is marked as started."""
    signal.pthread_sigmask(signal.SIG_SETMASK, WATCHED)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return NOT_OURS
    if (folder / "started").exists() or (folder / "exit").exists():
        return NOT_OURS
    is_started, started = os.pipe()
    if os.fork():
        # Whoever starts pilots waits for this process only; the other is nobody's child.
        os.close(started)
        return IS_STARTED if os.read(is_started, 1) else FAILED
    os.setsid()
    os.close(is_started)
    put(folder / "started", str(os.getpid()))
    os.write(started, b"1")
    os.close(started)
    put(folder / "exit", str(run(folder)))
    return 0


def run(folder: Path) -> int:
    """Run the wrapper to its end and return its exit code, 128 + n for signal n."""
    job = json.loads((folder.parent / "submission.json").read_text(encoding="utf-8"))
    for number in WATCHED:
        signal.signal(number, signal.SIG_DFL)
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    shim = os.getpid()
    wrapper = os.fork()
    if wrapper == 0:
        # If the shim is killed its wrapper ends in good order: nobody would count it any more.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() == shim:
            execute(job["executable"], environment(job, folder.name))
        os._exit(127)
    code = stand_by(wrapper)
    kill_family()
    return code if code >= 0 else 128 - code


def stand_by(wrapper: int) -> int:
    """Forward signals until the wrapper ends; return its code, negative for a signal."""
    kill_at: float | None = None
    while True:
        left = 3600.0 if kill_at is None else max(0.0, kill_at - time.monotonic())
        got = signal.sigtimedwait(WATCHED, left)
        if got is not None and got.si_signo == signal.SIGCHLD:
            code = reap(wrapper)
            if code is not None:
                return code
        elif got is not None and (kill_at is None or got.si_signo not in ENDING):
            os.kill(wrapper, got.si_signo)
            if got.si_signo in ENDING:
                kill_at = time.monotonic() + GRACE
        elif kill_at is not None:
            os.kill(wrapper, signal.SIGKILL)
            kill_at = None


def reap(wrapper: int) -> int | None:
    """Wait for all that have ended; return the wrapper's code if it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == wrapper:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None


def kill_family() -> None:
    """Kill what is left of the pilot: orphans of a subreaper become its children."""
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            for pid in own_children():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def own_children() -> list[int]:
    """Return the pids of all children; none is used anew before it is waited for."""
    shim = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{shim}/task/{shim}/children").read_text().split()]


def execute(path: str, env: dict[str, str]) -> None:
    """Become the wrapper, with signals as a process expects them; return if that fails."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these two
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execve(path, [path], env)  # noqa: S606
    except OSError as error:
        os.write(2, f"cannot execute {path!r}: {error.strerror}\n".encode())


def environment(job: dict[str, Any], number: str) -> dict[str, str]:
    """Return the pilot's environment: a few of ours, the job's, and what is this pilot's own."""
    pilot = f"{job['submission']}.{number}"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    env |= {name: os.environ[name] for name in HANDED_ON if name in os.environ}
    env |= {"APFCID": pilot, "FACTORY_JOBID": f"{os.uname().nodename}#{pilot}"}
    env |= job["environment"]
    return env | {"APF_PILOT": pilot}


def put(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut."""
    new = path.with_name(f".{path.name}")
    with new.open("w", encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
