"""Published wrappers: `<state>/published/NAME/N/` holds version N, whole, and never changes.

The highest N counts. The factory alone writes here.
"""

import hashlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from core.model.errors import NotFound, SettingsError, StateError
from core.model.frozen import Frozen
from core.model.text import clean
from core.settings.template import VERSION, Source

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_DRAFT = ".new"


class Version(Frozen):
    """Who published it, when and why: `version.toml`."""

    number: int
    by: str
    at: float
    """Unix time."""
    message: str
    action: str
    """The action in the ledger that put it there."""
    sha256: str
    """Of all its files."""


def folder(state: Path) -> Path:
    """Return where a factory keeps what was published."""
    return state / "published"


def hash_of(texts: Mapping[str, str]) -> str:
    """Return the hash of files by their paths."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def names(folder: Path | None) -> list[str]:
    """Return the wrappers that were published. Raise SettingsError if that cannot be read."""
    if folder is None:
        return []
    return sorted(n for n in _entries(folder, NAME) if numbers(folder, n))


def numbers(folder: Path | None, name: str) -> list[int]:
    """Return the versions of a wrapper, the one that counts last. Raise SettingsError."""
    if folder is None or not NAME.fullmatch(name):
        return []
    return sorted(map(int, _entries(folder / name, _NUMBER)))


def read_version(folder: Path | None, name: str, number: int) -> Version:
    """Return who published a version, and why. Raise SettingsError if it is damaged."""
    place = _place(folder, name, str(number))
    try:
        found = Version.model_validate(tomllib.loads((place / VERSION).read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise _damaged(place, error) from None
    if found.number != number:
        raise _damaged(place, f"it says that it is version {found.number}")
    return found


def read(folder: Path | None, name: str, version: str) -> dict[str, Source]:
    """Return a version's files by their paths.

    Raise NotFound if there is none, SettingsError if it is not what was published.
    """
    place = _place(folder, name, version)
    if not place.is_dir():
        raise NotFound(f"wrapper {name} has no version {version}", "see `apftui wrappers list`")
    told = read_version(folder, name, int(version))
    try:
        found = {
            str(path.relative_to(place)): Source(path.read_text("utf-8"), clean(str(path)))
            for path in sorted(place.rglob("*"))
            if not path.is_dir() and path != place / VERSION
        }
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(place, error) from None
    if hash_of({path: source.text for path, source in found.items()}) != told.sha256:
        raise _damaged(place, "its files are not those that were published")
    return found


def write(folder: Path, name: str, version: Version, files: Mapping[str, Source]) -> None:
    """Put a new version there: after a crash it is there whole or not at all.

    Raise StateError if it cannot be written, or if the number is taken; then nothing has changed.
    """
    place = _place(folder, name, str(version.number))
    draft = place.with_name(_DRAFT)
    texts = {path: source.text for path, source in files.items()}
    try:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        for path, text in (texts | {VERSION: tomli_w.dumps(version.model_dump())}).items():
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, text)
        for made in (draft, *(p for p in draft.rglob("*") if p.is_dir())):
            _sync(made)
        draft.rename(place)  # fails if it is there: no version is ever replaced
        try:
            for above in (place.parent, folder, folder.parent):
                _sync(above)
        except OSError:
            place.rename(draft)
            raise
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StateError(
            f"{clean(str(place))}: cannot be written: {error.strerror}",
            "make room or give the factory's account its state folder back",
        ) from error


def actions(folder: Path) -> set[str]:
    """Return the actions that versions were published by, of those that can say so."""
    found = set()
    for name in names(folder):
        for number in numbers(folder, name):
            with suppress(SettingsError):
                found.add(read_version(folder, name, number).action)
    return found


def _place(folder: Path | None, name: str, version: str) -> Path:
    # Both become parts of a path, and may come from outside.
    if folder is None or not NAME.fullmatch(name) or not _NUMBER.fullmatch(version):
        raise NotFound(
            f"there is no version {clean(version, 20)} of wrapper {clean(name, 80)}",
            "see `apftui wrappers list`",
        )
    return folder / name / version


def _entries(folder: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    try:
        return iter([e.name for e in folder.iterdir() if pattern.fullmatch(e.name)])
    except FileNotFoundError:
        return iter(())
    except OSError as error:
        raise SettingsError(
            f"cannot read {clean(str(folder))}: {error.strerror}",
            "ask as the factory's own account; without it pilots would get other wrappers",
        ) from None


def _damaged(place: Path, why: object) -> SettingsError:
    told = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return SettingsError(
        f"the published wrapper {clean(str(place))} is damaged: {clean(told, 300)}",
        "restore it from a backup; or move it away, and the version before it counts again",
    )


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
