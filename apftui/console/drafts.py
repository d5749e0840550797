"""The operator's own copies of wrappers that are being edited, on this machine.

`$XDG_STATE_HOME/apftui/drafts/FACTORY/WRAPPER@BASE.sh`, where BASE is the version that the draft
was made from. One console at a time has a wrapper's draft: accounts are shared.
"""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from core.model.errors import ApftuiError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Draft(NamedTuple):
    """A draft as it was found."""

    base: str
    text: str
    at: float
    """Unix time."""


def folder(factory: str, environ: Mapping[str, str]) -> Path:
    """Return where the drafts for a factory are."""
    state = Path(environ.get("XDG_STATE_HOME") or "")
    if not state.is_absolute():
        state = Path(environ.get("HOME") or "/") / ".local/state"
    # The name is what whoever answers on the socket says.
    return state / "apftui" / "drafts" / (factory if _NAME.fullmatch(factory) else "unknown")


def names(folder: Path) -> set[str]:
    """Return the wrappers that there are drafts of."""
    with suppress(OSError):
        return {p.name.partition("@")[0] for p in folder.glob("*@*.sh")}
    return set()


class Desk:
    """The one draft of one wrapper. Every call touches the disk; `close` lets others have it."""

    def __init__(self, folder: Path, wrapper: str) -> None:
        """Take the wrapper's draft. Raise ApftuiError if another console has it."""
        if not _NAME.fullmatch(wrapper):
            raise ApftuiError("this wrapper's name cannot be a file's")
        self._folder = folder
        self._wrapper = wrapper
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / f".{wrapper}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise ApftuiError(
                f"another console of this account edits {wrapper}", "edit it there, or close that"
            ) from None

    def close(self) -> None:
        """Let other consoles have it."""
        os.close(self._lock)

    def path(self, base: str) -> Path:
        """Return the file of a draft made from version `base`."""
        return self._folder / f"{self._wrapper}@{base}.sh"

    def read(self) -> Draft | None:
        """Return the newest draft. Raise ApftuiError if it cannot be read."""
        try:
            found = sorted(self._files(), key=lambda p: p.stat().st_mtime)
            if not found:
                return None
            newest = found[-1]
            with newest.open(encoding="utf-8", errors="replace", newline="") as file:
                text = file.read()
            return Draft(newest.stem.partition("@")[2], text, newest.stat().st_mtime)
        except OSError as error:
            raise ApftuiError(f"cannot read a draft in {self._folder}: {error.strerror}") from error

    def write(self, base: str, text: str) -> Path:
        """Keep a draft: after a crash the old or the new one is there. Raise ApftuiError."""
        path = self.path(base)
        try:
            fd, name = tempfile.mkstemp(prefix=".new-", dir=self._folder)  # mode 0600
            fresh = Path(name)
            try:
                with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(fd)
                fresh.rename(path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
            self._drop(but=path)
        except OSError as error:
            raise _unwritable(path, error) from error
        return path

    def discard(self) -> None:
        """Drop the draft. Raise ApftuiError."""
        try:
            self._drop()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _drop(self, but: Path | None = None) -> None:
        for path in self._files():
            if path != but:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"{self._wrapper}@*.sh")


def _unwritable(path: Path, error: OSError) -> ApftuiError:
    problem = f"the draft is not kept: {path}: {error.strerror}"
    return ApftuiError(problem, "look at that disk, or drop the draft")
