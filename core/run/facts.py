"""From answers to facts: what is known about each queue at this moment, and how old it is."""

from collections import deque
from collections.abc import Mapping, Sequence

from core.decision.demand import Sample, Sent, covered, in_flight
from core.model.answers import BatchAnswer, BatchCount, WmsAnswer, WmsCount, WmsQuery
from core.model.facts import BatchFacts, Facts, Totals, WmsFacts
from core.run.outcomes import OutcomeSource
from core.run.outstanding import Outstanding
from core.run.source import Polled, Source
from core.settings.schema import QueueSettings, Settings


class WmsSource:
    """A WMS's polls, with its counts by query."""

    def __init__(self, source: Source[WmsAnswer], lag: float) -> None:
        self.source = source
        self.lag = lag
        self._indexed: Polled[WmsAnswer] | None = None
        self._counts: dict[WmsQuery, WmsCount] = {}

    def count(self, polled: Polled[WmsAnswer], query: WmsQuery) -> WmsCount | None:
        """Return the answer to one query."""
        if polled is not self._indexed:
            self._indexed = polled
            self._counts = {c.query: c for c in polled.answer.counts}
        return self._counts.get(query)


class BatchSource:
    """A batch system's polls, with its counts by queue, and those of a while ago."""

    def __init__(self, source: Source[BatchAnswer]) -> None:
        self.source = source
        self._answers: deque[tuple[Polled[BatchAnswer], dict[str, BatchCount]]] = deque()

    def remember(self, horizon: float) -> None:
        """Keep the newest answer, and drop all but one of those older than `horizon`."""
        last = self.source.last
        if last is None or (self._answers and self._answers[-1][0] is last):
            return
        self._answers.append((last, {c.queue: c for c in last.answer.counts}))
        while len(self._answers) > 1 and self._answers[1][0].ended < horizon:
            self._answers.popleft()

    @property
    def oldest(self) -> float | None:
        """When the poll of the oldest answer kept began (boottime)."""
        return self._answers[0][0].began if self._answers else None

    def counts(self) -> Mapping[str, BatchCount]:
        """Return the newest counts; a queue that is not in them has no pilots."""
        return self._answers[-1][1] if self._answers else {}

    def count(self, queue: str) -> BatchCount:
        """Return the newest count of one queue."""
        return self.counts().get(queue) or BatchCount(queue=queue)

    def samples(self, queue: str, since: float) -> list[Sample]:
        """Return P of a queue in the answers since, and in the last one before; oldest first."""
        found: list[Sample] = []
        for polled, counts in reversed(self._answers):
            found.append(_sample(polled, counts.get(queue)))
            if polled.ended < since:
                break
        return found[::-1]


def _sample(polled: Polled[BatchAnswer], count: BatchCount | None) -> Sample:
    p = count.pending + count.held if count else 0
    return Sample(polled.began, polled.ended, p)


class Sources:
    """All sources of the running settings."""

    def __init__(
        self,
        wms: Mapping[str, WmsSource],
        batch: Mapping[str, BatchSource],
        outcomes: Mapping[str, OutcomeSource],
    ) -> None:
        """`outcomes` are of the batch systems that tell; no decision needs them."""
        self.wms = wms
        self.batch = batch
        self.outcomes = outcomes

    def remember(self, settings: Settings, now: float) -> None:
        """Keep what facts may still need of the batch systems' answers."""
        oldest_demand = max(
            (t.lag + t.timing.deadline + t.timing.max_age for t in settings.wms.values()),
            default=0.0,
        )
        for source in self.batch.values():
            source.remember(now - oldest_demand)

    def oldest(self, now: float) -> float:
        """Return the boottime since when submissions can matter to what is remembered."""
        kept = (source.oldest for source in self.batch.values())
        return min((began for began in kept if began is not None), default=now)

    def facts(self, queue: QueueSettings, outstanding: Outstanding, now: float) -> Facts:
        """Return what is known about a queue; totals are the pass's."""
        sent = outstanding.sent(queue.name, queue.batch)
        batch = self._batch(queue, sent, now)
        wms = self._wms(queue, now)
        if queue.wms is None or wms.activated is None or not batch.known:
            return Facts(wms=wms, batch=batch)
        source = self.wms[queue.wms]
        polled = source.source.fresh(now)
        assert polled is not None
        measured_at = polled.began - source.lag
        spent = covered(
            measured_at,
            self.batch[queue.batch].samples(queue.name, measured_at),
            sent,
        )
        if spent is None:
            age = now - polled.began + source.lag
            problem = (
                f"its count is {age:.0f} s old, from before pilots were first counted;"
                " a later one will do"
            )
            unspent = wms.model_copy(update={"activated": None, "problem": problem})
            return Facts(wms=unspent, batch=batch)
        return Facts(wms=wms, batch=batch.model_copy(update={"covered": spent}))

    def _wms(self, queue: QueueSettings, now: float) -> WmsFacts:
        if queue.wms is None:
            return WmsFacts(problem="the queue names no WMS")
        source = self.wms[queue.wms]
        polled = source.source.fresh(now)
        if polled is None:
            return WmsFacts(problem=source.source.problem(now))
        count = source.count(polled, queue.query)
        if count is None:
            return WmsFacts(problem=f"{queue.wms} has not been asked for {queue.query.queue} yet")
        return WmsFacts(
            activated=count.activated,
            running=count.running,
            status=count.status,
            problem=count.problem,
            other=count.other,
            note=count.note,
        )

    def _batch(self, queue: QueueSettings, sent: Sequence[Sent], now: float) -> BatchFacts:
        batch = self.batch[queue.batch]
        polled = batch.source.fresh(now)
        if polled is None:
            unresolved = sum(s.n for s in sent if s.at is None)
            return BatchFacts(problem=batch.source.problem(now), in_flight=unresolved)
        if polled.answer.foreign:
            others = ", ".join(polled.answer.foreign)
            problem = (
                f"pilots of another factory of this name are on {polled.answer.schedd}"
                f" (instance {others}): give one of the two another [factory] name"
            )
            return BatchFacts(problem=problem)
        count = batch.count(queue.name)
        return BatchFacts(
            pending=count.pending,
            held=count.held,
            running=count.running,
            in_flight=in_flight(_sample(polled, count), sent),
        )

    def totals(self, outstanding: Outstanding, now: float) -> Totals:
        """Count all pilots, also of queues that are not due or have left the settings."""
        pilots = 0
        for name, batch in self.batch.items():
            polled = batch.source.fresh(now)
            if polled is None:
                return Totals()
            pilots += sum(c.pending + c.held + c.running for c in batch.counts().values())
            pilots += in_flight(_sample(polled, None), outstanding.sent_to(name))
        return Totals(pilots=pilots)
