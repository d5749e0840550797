"""Demand is spent once: what has been sent since it was measured no longer is demand."""

from collections.abc import Sequence
from typing import NamedTuple

from core.model.decision import Step
from core.model.facts import Facts


class Sample(NamedTuple):
    """P as one batch answer gave it: what it was at some time while the poll ran."""

    began: float
    ended: float
    p: int


class Sent(NamedTuple):
    """Pilots of one submission; `at` is when its receipt came, None while it is unresolved."""

    at: float | None
    n: int


def in_flight(now: Sample, sent: Sequence[Sent]) -> int:
    """Count the pilots that the answer `now` cannot be trusted to show.

    These are all of unresolved submissions, and of those confirmed after that poll began.
    """
    return sum(s.n for s in sent if s.at is None or s.at >= now.began)


def covered(measured_at: float, samples: Sequence[Sample], sent: Sequence[Sent]) -> int | None:
    """Return the pilots that demand measured at `measured_at` has been answered with.

    That is max(P now, P when it was measured + submitted since). A pilot that started meanwhile
    is no longer pending, but its payload may still stand among the activated ones of that
    measurement. `samples` are in order of time and end with the one that counts as now. None if
    none had ended before it was measured: then nobody knows what was pending at that time. (A
    poll that still ran, or ended at that moment, may have looked after a pilot had started.)

    All times are seconds of one clock that never goes back.
    """
    then = next((s for s in reversed(samples) if s.ended < measured_at), None)
    if then is None:
        return None
    now = samples[-1]
    return max(now.p + in_flight(now, sent), then.p + in_flight(then, sent))


def unanswered(facts: Facts, offset: int = 0) -> Step:
    """Return max(0, (R - offset) - P) and its reason; P covers what was sent since R was measured.

    `offset` is in payloads.
    """
    batch, activated = facts.batch, facts.wms.activated or 0
    words = [f"{activated} activated"]
    if offset:
        words.append(f"{offset} offset")
    words.append(f"{batch.p} pending{batch.among_p}")
    if batch.sent_since:
        words.append(f"{batch.sent_since} sent since that was measured")
    return Step(out=max(0, activated - offset - batch.answered), reason=" - ".join(words))
