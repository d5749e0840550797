"""What became of the pilots of one batch system: polls of their own, which delay no count."""

from core.model.answers import OutcomeAnswer, OutcomeCount
from core.run.source import Polled, Source


class OutcomeSource:
    """A batch system's word on the last hour, by queue."""

    def __init__(self, source: Source[OutcomeAnswer]) -> None:
        self.source = source
        self._indexed: Polled[OutcomeAnswer] | None = None
        self._counts: dict[str, OutcomeCount] = {}

    def count(self, queue: str, now: float) -> OutcomeCount | None:
        """Return how a queue's pilots ended; None if there is no answer, or only an old one."""
        polled = self.source.fresh(now)
        if polled is None:
            return None
        if polled is not self._indexed:
            self._indexed = polled
            self._counts = {c.queue: c for c in polled.answer.counts}
        return self._counts.get(queue) or OutcomeCount(queue=queue)
