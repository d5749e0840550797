"""The Debian system that the pool runs in: built once, kept, never changed by a run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .sandbox import Layout, PoolUnavailableError, Sandbox, until

SUITE = "trixie"
PACKAGES = ("condor", "minicondor")
USER = "apf"
RECIPE = 1  # part of the key of the cache: raise it when the steps below change
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
BUILD_TIMEOUT = 1200.0


def _named_cache() -> Path:
    named = os.environ.get("APFTUI_TEST_CACHE")
    # Not below root's home: the pool's accounts must get to what they share with the outside.
    return Path(named).absolute() if named else Path("/var/cache/apftui-tests")


# Read at import: tests get a home of their own, and none of the developer's settings.
CACHE = _named_cache()


def cache_folder() -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    return CACHE.resolve()


def cached_chroot(extra_packages: Sequence[str] = ()) -> Path:
    """The folder of a Debian system with HTCondor and `extra_packages`; do not write to it."""
    packages = [*PACKAGES, *sorted(set(extra_packages))]
    key = hashlib.sha256(repr((RECIPE, SUITE, packages, USER)).encode()).hexdigest()[:12]
    cache = cache_folder()
    finished = cache / f"chroot-{key}"
    if finished.is_dir():
        return finished
    with locked(cache / "build.lock"):
        if not finished.is_dir():
            _remove_unfinished(cache)
            _build(cache, packages, finished)
    return finished


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between test runs; the kernel frees it if we die."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another test run that holds {path}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_unfinished(cache: Path) -> None:
    # Under the lock nobody builds: what is there was left by a run that died. Its mounts died
    # with it, so nothing of the machine can be below these folders.
    for folder in cache.glob("building-*"):
        shutil.rmtree(folder)


def _build(cache: Path, packages: Sequence[str], finished: Path) -> None:
    """Build beside the place and rename: a folder with the final name is always whole."""
    _install_debootstrap()
    folder = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    log = cache / f"{finished.name}.log"
    print(f"building {finished} once, about a minute (log: {log})", file=sys.stderr)
    log.write_text("")
    root = folder / "root"
    outside = Layout(Path("/"))
    outside.mount("-t", "proc", "proc", "/proc")
    _step(outside, ["debootstrap", "--variant=minbase", SUITE, str(root)], log)
    _write(root / "usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)  # start no services
    _write(root / "etc/dpkg/dpkg.cfg.d/speed", "force-unsafe-io\n")
    inside = Layout(root)
    inside.kernel_filesystems()
    _step(inside, ["apt-get", "install", "-y", "--no-install-recommends", *packages], log)
    _step(inside, ["apt-get", "clean"], log)
    _step(inside, ["useradd", "--create-home", "--shell", "/bin/sh", USER], log)
    root.rename(finished)
    folder.rmdir()


def _install_debootstrap() -> None:
    if shutil.which("debootstrap") and KEYRING.exists():
        return
    if shutil.which("apt-get") is None:
        raise PoolUnavailableError("no debootstrap, and no apt-get to install it")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = ["debootstrap", "debian-archive-keyring"]
    for argv in (["apt-get", "update"], ["apt-get", "install", "-y", *wanted]):
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
        # A list that cannot be read may be of no matter: whether the install works decides.
        if done.returncode and "install" in argv:
            raise PoolUnavailableError(f"{' '.join(argv)}: {done.stderr.strip()[-1000:]}")


def _step(layout: Layout, argv: list[str], log: Path) -> None:
    """Run one command of the build; in a sandbox, so that its mounts and children end with us."""
    with log.open("a") as output:
        sandbox = Sandbox(layout, argv, output)
        try:
            until(lambda: sandbox.exit_code() is not None, argv[0], BUILD_TIMEOUT)
        except TimeoutError as error:
            raise PoolUnavailableError(f"{error} (log: {log})") from None
        finally:
            sandbox.kill()
    if code := sandbox.exit_code():
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise PoolUnavailableError(f"{' '.join(argv)}: exit code {code}\n{tail}")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
