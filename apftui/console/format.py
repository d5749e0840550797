"""Numbers, ages and states as words. Unknown is `?`, what does not apply is `–`, never 0."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from core.api.models import QueueState, QueueStatus
from core.model.decision import Decision

UNKNOWN = "?"
NONE = "–"


class Word(NamedTuple):
    """A state for the eye: glyph and word say it without colour, `style` says it again."""

    glyph: str
    word: str
    style: str


STATES: dict[QueueState, Word] = {
    "error": Word("✗", "error", "bad"),
    "blind": Word("◌", "blind", "warn"),
    "paused": Word("‖", "paused", "calm"),
    "draining": Word("▽", "draining", "calm"),
    "offline": Word("○", "offline", "dim"),
    "drained": Word("○", "drained", "dim"),
    "ok": Word("●", "ok", "good"),
}
"""Worst first: so they sort."""


def number(value: int | None) -> str:
    """Return at most five characters: `9999`, `12.3k`, `123k`, `1.2M`."""
    if value is None:
        return UNKNOWN
    if value < 10_000:
        return str(value)
    if value < 100_000:
        return f"{value // 100 / 10:.1f}k"
    if value < 1_000_000:
        return f"{value // 1000}k"
    return f"{value // 100_000 / 10:.1f}M"


def total(values: Iterable[int | None]) -> str:
    """Return the sum; what is unknown is said with `+?` and not left out in silence."""
    known, unknown = 0, False
    for value in values:
        if value is None:
            unknown = True
        else:
            known += value
    if not unknown:
        return number(known)
    return f"{number(known)}+{UNKNOWN}" if known else UNKNOWN


def age(seconds: float | None) -> str:
    """Return at most four characters: `12s`, `3m`, `2h`, `4d`."""
    if seconds is None:
        return NONE
    whole = max(0, int(seconds))
    for unit, length, below in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if whole < below:
            return f"{whole // length}{unit}"
    return f"{min(whole // 86_400, 999)}d"


def clock(at: float) -> str:
    """Return Unix time as `14:02:11Z`."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}Z"


def moment(at: float) -> str:
    """Return Unix time as `11-22 14:02:11Z`."""
    return f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M:%S}Z"


def last(decision: Decision | None) -> str:
    """Return what was decided last: `+3`, `0`, `blind`."""
    if decision is None:
        return NONE
    if decision.blind:
        return "blind"
    if decision.remove:
        return f"-{number(decision.remove)}"
    return f"+{number(decision.submit)}" if decision.submit else "0"


def why(queue: QueueStatus, *, named: bool = True) -> str:
    """Say in words why the queue does what it does: its state's reason, or the limit.

    Not `named`: without the name of the step that bound it, which stands beside it.
    """
    if queue.reason:
        return queue.reason
    decision = queue.decision
    if decision is None:
        return "not decided yet"
    if decision.blind:
        return decision.blind_because or "a needed number is unknown"
    told = decision.steps[:1]
    for step in decision.steps:
        if step.plugin == decision.bound_by or (not decision.bound_by and step.out != step.in_):
            told = (step,)
    known = not named and decision.bound_by
    return "".join(step.reason if known else f"{step.plugin}: {step.reason}" for step in told)


def wrapper(queue: QueueStatus) -> str:
    """Return what the queue's new pilots start with: `generic@3`."""
    return f"{queue.wrapper}@{queue.wrapper_version}" if queue.wrapper_version else queue.wrapper


def count(n: int, what: str) -> str:
    """Return `1 queue`, `2 queues`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
