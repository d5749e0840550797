"""Operators' overrides: `overrides.toml` in the state folder is the truth about them."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import ValidationError

from core.model.errors import NotFound, SettingsError, Stale, StateError
from core.model.frozen import Frozen
from core.model.text import clean
from core.settings.keys import split
from core.settings.schema import Orphan
from core.settings.toml_file import read_toml, take_odd_values

FILE = "overrides.toml"
_TEMPORARY = ".overrides.toml.new"


class Override(Frozen):
    """One value that an operator put over the settings."""

    queue: str
    key: str
    """Dotted: `paused`, `sched.max-pending.maximum`."""
    value: Any
    by: str
    at: float
    """Unix time."""
    why: str = ""
    until: float | None = None
    """Unix time at which it ends by itself."""
    action: str
    """The action that put it there."""
    orphaned: str | None = None
    """Why it was set aside. It stays so until an operator sets it anew."""


class Overrides(Frozen):
    """All overrides, oldest first, and the last action that is in them."""

    version: Literal[1] = 1
    action: str | None = None
    entries: tuple[Override, ...] = ()


class Undo(Frozen):
    """What an action did to one key: what stood before (None: no override) and what it left."""

    queue: str
    key: str
    before: Override | None
    after: Override | None


NO_OVERRIDES = Overrides()


def override(
    queue: str,
    key: str,
    value: Any,
    *,
    action: str,
    by: str,
    at: float,
    why: str = "",
    until: float | None = None,
) -> Override:
    """Make an override of what an operator asked for.

    Raise SettingsError if `key` is no dotted key, or if no setting may have such a value.
    """
    split(key)
    for keys, problem in take_odd_values({key: value})[1]:
        raise SettingsError(f"{clean('.'.join(keys), 200)}: {problem}", "give another value")
    return Override(
        queue=queue,
        key=key,
        value=value,
        by=clean(by, 200),
        at=at,
        why=clean(why, 500),
        until=until,
        action=action,
    )


def set_(overrides: Overrides, entry: Override) -> Overrides:
    """Return `overrides` with `entry` in the place of what its key had."""
    others = _others(overrides, entry.queue, entry.key)
    return Overrides(action=entry.action, entries=(*others, entry))


def unset(overrides: Overrides, queue: str, key: str, action: str) -> Overrides:
    """Return `overrides` without one. Raise NotFound if there is none."""
    if find(overrides, queue, key) is None:
        raise NotFound(
            f"queue {clean(queue, 200)} has no override of {clean(key, 200)}",
            "nothing needs to be taken away",
        )
    return Overrides(action=action, entries=_others(overrides, queue, key))


def find(overrides: Overrides, queue: str, key: str) -> Override | None:
    """Return the override of one key, if there is one."""
    return next((e for e in overrides.entries if (e.queue, e.key) == (queue, key)), None)


def asked_by(overrides: Overrides, queue: str, key: str) -> str:
    """Say who set a key that is set, and why, in words to put behind what it does."""
    entry = find(overrides, queue, key)
    if entry is None or entry.orphaned:
        return "in the settings"
    return f"by {entry.by}: {entry.why}" if entry.why else f"by {entry.by}"


def expired(overrides: Overrides, now: float) -> tuple[Override, ...]:
    """Return those whose time is over; `now` is Unix time."""
    return tuple(e for e in overrides.entries if e.until is not None and e.until <= now)


def set_aside(overrides: Overrides, orphans: Iterable[Orphan]) -> Overrides:
    """Mark what did not fit, so that it does not come back by itself when it fits again."""
    problems = {(orphan.queue, orphan.key): orphan.problem for orphan in orphans}
    entries = tuple(
        e.model_copy(update={"orphaned": problems.get((e.queue, e.key), e.orphaned)})
        for e in overrides.entries
    )
    return overrides.model_copy(update={"entries": entries})


def undo_material(before: Overrides, after: Overrides) -> tuple[Undo, ...]:
    """Return what an action changed, for its undo."""
    old = {(e.queue, e.key): e for e in before.entries}
    new = {(e.queue, e.key): e for e in after.entries}
    return tuple(
        Undo(queue=queue, key=key, before=old.get((queue, key)), after=new.get((queue, key)))
        for queue, key in {**old, **new}
        if old.get((queue, key)) != new.get((queue, key))
    )


def undo(overrides: Overrides, material: Iterable[Undo], action: str) -> Overrides:
    """Return `overrides` as before an action, for all its keys or none.

    Raise Stale if one of them has been changed since.
    """
    entries = overrides.entries
    for was in material:
        now = find(overrides, was.queue, was.key)
        if now != was.after:
            by = f" by {now.by}" if now else ""
            raise Stale(
                f"{was.key} of queue {was.queue} has been changed since{by}",
                "look at what it is now, and set it to what you want",
            )
        entries = _others(overrides.model_copy(update={"entries": entries}), was.queue, was.key)
        if was.before is not None:
            entries = (*entries, was.before)
    return Overrides(action=action, entries=entries)


def read(path: Path) -> Overrides:
    """Return the overrides in a file; none if it is not there.

    Raise SettingsError if it cannot be read: it holds pauses, so it is never ignored.
    """
    cure = "mend it, or restore it; without it paused queues would start again"
    try:
        path.stat()
    except FileNotFoundError:
        return NO_OVERRIDES
    except OSError:
        pass  # read_toml says what is wrong
    try:
        table, odd = take_odd_values({"version": None, **read_toml(path)})
        if "version" not in table:
            raise SettingsError(f"{clean(str(path))}: has no version, so it is cut or not ours")
        for keys, problem in odd:
            raise SettingsError(f"{clean(str(path))}: {clean('.'.join(keys), 100)}: {problem}")
        return Overrides.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{clean(str(path))}: damaged at {clean(place, 100)}: {clean(first['msg'], 200)}", cure
        ) from error
    except SettingsError as error:
        raise SettingsError(error.problem, cure) from error


def write(path: Path, overrides: Overrides) -> None:
    """Replace the file at once: after a crash it holds the old or the new overrides, whole.

    Raise StateError if it cannot be written; then the old ones stand.
    """
    text = tomli_w.dumps(overrides.model_dump(exclude_none=True))
    new = path.with_name(_TEMPORARY)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(
            f"{clean(str(path))}: cannot be written: {error.strerror}",
            "make room or give the factory's account its state folder back",
        ) from error


def _others(overrides: Overrides, queue: str, key: str) -> tuple[Override, ...]:
    return tuple(e for e in overrides.entries if (e.queue, e.key) != (queue, key))
