"""Processes with mounts of their own, which leave nothing behind, whatever ends the test run.

A sandbox is a process namespace and a mount namespace (not a network one: clients outside reach
its servers on loopback). Nothing is mounted where the rest of the machine could see it, and one
SIGKILL ends every process in it, daemons included, and no others.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar, cast

INSIDE = Path(__file__).with_name("inside.py")
TOOLS = ("unshare", "nsenter", "mount")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

T = TypeVar("T")


class PoolUnavailableError(RuntimeError):
    """This machine cannot run a pool; the message says why. Not: the pool is broken."""


def until(check: Callable[[], T], what: str, timeout: float, every: float = 0.05) -> T:
    """Call `check` until it returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
    return found


def happens(check: Callable[[], object], within: float) -> bool:
    try:
        until(check, "", within)
    except TimeoutError:
        return False
    return True


def require_privileges() -> None:
    if os.geteuid() != 0:
        raise PoolUnavailableError("only root can mount and change root, and this is not root")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise PoolUnavailableError(f"not installed: {', '.join(missing)} (util-linux)")
    mount = ["mount", "-t", "tmpfs", "none", tempfile.gettempdir()]
    probe = subprocess.run(
        ["unshare", "--mount", "--pid", "--uts", "--fork", *mount],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        raise PoolUnavailableError(f"no mounts in a namespace: {probe.stderr.strip()}")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    argv: tuple[str, ...]


@dataclass
class Layout:
    """What a sandbox looks like: `setup` are commands run in it before the change of root."""

    root: Path
    hostname: str = "localhost"
    setup: list[list[str]] = field(default_factory=list)

    def mount(self, *argv: str | Path) -> None:
        self.setup.append(["mount", *map(str, argv)])

    def bind(self, source: Path, target: str | Path) -> None:
        self.mount("--rbind", source, f"{self.root}{target}")

    def kernel_filesystems(self) -> None:
        self.mount("-t", "proc", "proc", f"{self.root}/proc")
        self.bind(Path("/dev"), "/dev")


class Sandbox:
    """A running command in its namespaces. Ends with `kill`, or with this process."""

    def __init__(self, layout: Layout, argv: Sequence[str], output: IO[str]) -> None:
        spec = {
            "root": str(layout.root),
            "hostname": layout.hostname,
            "setup": layout.setup,
            "argv": list(argv),
        }
        command = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        command += [sys.executable, "-I", str(INSIDE)]
        # Not in our session: a Ctrl-C is for us, who may still want to look into the sandbox.
        self._unshare = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=_environment(),
            start_new_session=True,
        )
        # After this line nobody writes to the pipe: its end tells the sandbox that we have died.
        self._lifeline = cast(IO[bytes], self._unshare.stdin)
        self._lifeline.write(json.dumps(spec).encode() + b"\n")
        self._lifeline.flush()
        self.init = until(self._find_init, "the first process of a sandbox", 10)

    def _find_init(self) -> int:
        if self._unshare.poll() is not None:
            return -1
        for process in processes():
            if process.parent == self._unshare.pid:
                return process.pid
        return 0

    @property
    def root(self) -> Path:
        """The sandbox's root as other processes can open it, for as long as it lives."""
        return Path(f"/proc/{self.init}/root")

    def exit_code(self) -> int | None:
        return self._unshare.poll()

    def processes(self) -> Iterator[Process]:
        """All processes of the sandbox but its first, with their ids as seen from outside."""
        home = _namespace(self.init)
        for process in processes():
            if process.pid != self.init and home and _namespace(process.pid) == home:
                yield process

    def enter(self, argv: Sequence[str], uid: int, gid: int, home: str) -> list[str]:
        """The command line that runs `argv` in the sandbox, with a clean environment."""
        namespaces = ["--target", str(self.init), "--mount", "--pid", "--uts", "--root", "--wd"]
        who = ["--setuid", str(uid), "--setgid", str(gid)]
        clean = ["env", "-i", f"PATH={PATH}", f"HOME={home}", "LANG=C.UTF-8"]
        return ["nsenter", *namespaces, *who, "--", *clean, *argv]

    def kill(self) -> None:
        """End every process; returns when they are gone, and the mounts with them."""
        if self._unshare.poll() is None:
            if self.init > 0:
                os.kill(self.init, signal.SIGKILL)
            self._unshare.wait()
        self._lifeline.close()


def processes() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (process := _process(folder)):
            yield process


def _process(folder: Path) -> Process | None:
    try:
        stat = (folder / "stat").read_text()
        argv = (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may itself contain some: count from the last one.
    parent = int(stat.rpartition(")")[2].split()[1])
    return Process(int(folder.name), parent, tuple(argv))


def started(pid: int) -> str | None:
    """When a process started, in clock ticks: with its id, this names it for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def _namespace(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:  # it has ended, or it is none that even root may look at
        return None


def _environment() -> dict[str, str]:
    """What a package client may need of ours; nothing else gets in."""
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return {"PATH": PATH, "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **kept}
