"""Demand is spent once: what has been sent since it was measured no longer is demand."""

from collections.abc import Sequence
from typing import NamedTuple


class Sample(NamedTuple):
    """P as one batch answer gave it; `at` is when that poll began."""

    at: float
    p: int


class Sent(NamedTuple):
    """Pilots of one submission; `at` is when its receipt came, None while it is unresolved."""

    at: float | None
    n: int


def in_flight(now: Sample, sent: Sequence[Sent]) -> int:
    """Count the pilots that the answer `now` cannot be trusted to show.

    These are all of unresolved submissions, and of those confirmed after that poll began.
    """
    return sum(s.n for s in sent if s.at is None or s.at >= now.at)


def covered(measured_at: float, samples: Sequence[Sample], sent: Sequence[Sent]) -> int | None:
    """Return the pilots that demand measured at `measured_at` has been answered with.

    That is max(P now, P when it was measured + submitted since). A pilot that started meanwhile
    is no longer pending, but its payload may still stand among the activated ones of that
    measurement. `samples` are in order of time and end with the one that counts as now. None if
    none is as old as the measurement: then nobody knows what was pending at that time.

    All times are seconds of one clock that never goes back.
    """
    then = next((s for s in reversed(samples) if s.at <= measured_at), None)
    if then is None:
        return None
    now = samples[-1]
    return max(now.p + in_flight(now, sent), then.p + in_flight(then, sent))
