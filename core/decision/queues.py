"""One pass over the queues: each decided in turn against totals that the pass itself moves."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from core.decision.chain import Bound, Link, StepFailed, Stop, decide
from core.model.decision import Decision
from core.model.facts import Facts, Totals


class Due(NamedTuple):
    """A queue that is to be decided."""

    queue: str
    chain: tuple[Link, ...]
    facts: Facts
    bound: Bound
    stop: Stop | None = None
    compat: bool = False


class Decided(NamedTuple):
    """A decision, and whether it came to nothing because a step failed."""

    decision: Decision
    failed: bool


def decide_all(due: Iterable[Due], totals: Totals) -> Iterator[Decided]:
    """Decide the queues in the order given; pilots decided on count in the totals of the next."""
    for item in due:
        facts = item.facts.model_copy(update={"totals": totals})
        try:
            decision = decide(item.queue, item.chain, facts, item.bound, item.stop, item.compat)
            failed = False
        except StepFailed as error:
            decision = failure(item.queue, error.problem)
            failed = True
        if totals.pilots is not None:
            totals = Totals(pilots=totals.pilots + decision.submit)
        yield Decided(decision, failed)


def failure(queue: str, reason: str) -> Decision:
    """Return the decision of a queue one of whose steps failed: it does nothing this pass."""
    return Decision(queue=queue, blind=True, blind_because=reason)
