"""panda-server from PyPI in an environment of its own: installed once, kept between runs."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.pool.chroot import CACHE, locked

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
RECIPE = 1  # part of the key of the cache: raise it when the steps below change
INSTALL_TIMEOUT = 900.0


class PandaUnavailableError(RuntimeError):
    """This machine cannot run the server; the message says why. Not: the server is broken."""


@dataclass(frozen=True)
class Account:
    """Who runs server and database: PostgreSQL refuses root, and the package root's name."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> Account:
        """Ourselves, or for root the account that Debian's PostgreSQL brings."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise PandaUnavailableError("no account postgres or nobody to run it as")

    def command(self, argv: Sequence[str], dying: str) -> list[str]:
        """Return the command line of a process that gets the signal `dying` when we die."""
        who = ["setpriv", "--pdeathsig", dying]
        if os.geteuid() == 0:
            who += [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        # Of root's powers setpriv itself keeps enough to start what the account may not: env not.
        return [*who, "--", "env", *argv]

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def environment(home: Path) -> dict[str, str]:
    """Return a clean environment; what pip may need of ours is kept."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") or name.startswith(("PIP_", "SSL_"))
    }
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": str(home), **kept}


def installed(account: Account) -> Path:
    """Return the folder of an environment that has the server; do not write to it."""
    python = _interpreter(account)
    wanted = f"{RECIPE} {python} {_version(python)} {account.uid} {REQUIREMENTS.read_text()}"
    cache = _cache()
    finished = cache / f"panda-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if finished.is_dir():
        return finished
    with locked(cache / "panda.lock"):
        if not finished.is_dir():
            for left in cache.glob("building-panda-*"):
                shutil.rmtree(left)
            _build(account, python, finished)
    return finished


def _cache() -> Path:
    # Root's accounts cannot look below its home; everybody else has nothing but theirs.
    shared = os.geteuid() == 0 or os.access(CACHE, os.W_OK)
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    cache = CACHE if shared else home / ".cache" / "apftui-tests"
    cache.mkdir(parents=True, exist_ok=True)
    return cache.resolve()


def _interpreter(account: Account) -> str:
    """Return a Python that the account can run: ours may be below root's home."""
    ours = os.path.realpath(sys.executable)
    for python in (ours, "/usr/bin/python3"):
        command = account.command([python, "-I", "-c", "import venv, ensurepip"], "KILL")
        try:
            done = subprocess.run(command, cwd="/", capture_output=True, check=False)
        except FileNotFoundError as error:
            raise PandaUnavailableError(f"not installed: {error.filename} (util-linux)") from None
        if done.returncode == 0:
            return python
    raise PandaUnavailableError("no Python with venv that an unprivileged account can run")


def _version(python: str) -> str:
    return subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()


def _build(account: Account, python: str, finished: Path) -> None:
    """Build beside the place and rename: a folder with the final name is always whole."""
    folder = Path(tempfile.mkdtemp(prefix="building-panda-", dir=finished.parent))
    log = finished.with_suffix(".log")
    print(f"installing {finished} once, about a minute (log: {log})", file=sys.stderr)
    account.own(folder)
    wanted = folder / "requirements.txt"
    wanted.write_text(REQUIREMENTS.read_text())
    wanted.chmod(0o644)
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    steps = (
        [python, "-I", "-m", "venv", str(folder)],
        [*pip, "install", "-q", "--no-cache-dir", "--no-deps", "-r", str(wanted)],
    )
    log.write_text("")
    for step in steps:
        with log.open("a") as output:
            done = subprocess.run(
                account.command(step, "KILL"),
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=INSTALL_TIMEOUT,
                check=False,
            )
        if done.returncode:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise PandaUnavailableError(f"panda-server cannot be installed:\n{tail}")
    folder.chmod(0o755)
    folder.rename(finished)
