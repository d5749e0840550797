"""A moment at which queues can be decided: what a pass asks, and what a preview asks likewise."""

from typing import NamedTuple

from core.decision.chain import Bound, Stop, max_submit
from core.model.facts import Totals
from core.run.decider import Question
from core.run.generation import Generation
from core.run.outstanding import Outstanding
from core.run.stops import Stopped
from core.run.submission import MOST_AT_ONCE, Submitter
from core.settings.schema import QueueSettings


class Moment(NamedTuple):
    """What is known besides the settings and what the sources have told."""

    outstanding: Outstanding
    now: float
    """Boottime."""
    stopped: Stopped
    """By operators."""
    ledger_down: str | None
    """Why nothing can be submitted if the ledger takes no writes."""

    def question(self, generation: Generation, queue: QueueSettings) -> Question:
        """Return what is to be decided about a queue."""
        # Settings that are only proposed may name a submitter that does not run yet.
        submitter = generation.submitters.get((queue.batch, queue.submit_plugin))
        polled = generation.sources.batch[queue.batch].source.fresh(self.now)
        return Question(
            queue,
            generation.sources.facts(queue, self.outstanding, self.now),
            _bound(generation.settings.factory.max_submit, submitter),
            self._stop(queue, submitter),
            polled.began if polled is not None else None,
        )

    def totals(self, generation: Generation) -> Totals:
        """Return what the whole factory has, before anything is decided."""
        return generation.sources.totals(self.outstanding, self.now)

    def _stop(self, queue: QueueSettings, submitter: Submitter | None) -> Stop | None:
        if (stop := self.stopped(queue)) is not None:
            return stop
        if self.ledger_down is not None:
            return Stop("ledger", self.ledger_down)
        why_not = submitter.why_not(queue.name) if submitter is not None else None
        return Stop(*why_not) if why_not is not None else None


def _bound(most: int, submitter: Submitter | None) -> Bound:
    if submitter is not None and submitter.limit < min(most, MOST_AT_ONCE):
        reason = f"a submission of more took too long: {submitter.limit} at a time until one works"
        return Bound("submit-limit", submitter.limit, reason)
    return max_submit(most)
