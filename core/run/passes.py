"""The pass: decide all due queues in name order against running totals, then order pilots."""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.decision.chain import Bound, Stop, max_submit
from core.decision.queues import Decided
from core.model.decision import Decision
from core.model.facts import Facts, Totals
from core.run.decider import Decider, Question
from core.run.generation import Generation
from core.run.outstanding import Outstanding
from core.run.submission import MOST_AT_ONCE, Order, Submitter, ids_for
from core.settings.schema import QueueSettings
from core.state.history import Record

log = logging.getLogger("apftui.pass")


class Last(NamedTuple):
    """The last decision of a queue."""

    decision: Decision
    failed: bool
    facts: Facts
    cycle: int
    at: float
    """Boottime."""
    submissions: tuple[str, ...]


class Passes:
    """Runs passes, and remembers each queue's last decision."""

    def __init__(
        self,
        decider: Decider,
        outstanding: Outstanding,
        paused_because: Callable[[str], str],
        job: Callable[[QueueSettings], dict[str, object]],
    ) -> None:
        """`paused_because` words who paused a queue; `job` gives PilotJob's fields but id and n."""
        self._decider = decider
        self._outstanding = outstanding
        self._paused_because = paused_because
        self._job = job
        self.last: dict[str, Last] = {}
        self._decided_on: dict[str, tuple[str, float]] = {}

    def questions(self, generation: Generation, now: float, ledger_down: str | None) -> list[Question]:
        """Return the queues that are due, with their facts.

        A queue is due when its batch system has answered since it was last decided: deciding
        twice on one count would send the same pilots twice.
        """
        every = (
            self._question(generation, queue, now, ledger_down)
            for _, queue in sorted(generation.settings.queues.items())
        )
        return [q for q in every if not self._decided(q)]

    def _decided(self, question: Question) -> bool:
        count = (question.queue.batch, question.counted_at)
        return question.counted_at is not None and self._decided_on.get(question.queue.name) == count

    def _question(
        self, generation: Generation, queue: QueueSettings, now: float, ledger_down: str | None
    ) -> Question:
        submitter = generation.submitter(queue)
        polled = generation.sources.batch[queue.batch].source.fresh(now)
        return Question(
            queue,
            generation.sources.facts(queue, self._outstanding, now),
            _bound(generation.settings.factory.max_submit, submitter),
            self._stop(queue, submitter, ledger_down),
            polled.began if polled is not None else None,
        )

    def _stop(
        self, queue: QueueSettings, submitter: Submitter, ledger_down: str | None
    ) -> Stop | None:
        if queue.paused:
            return Stop("paused", self._paused_because(queue.name))
        if ledger_down is not None:
            return Stop("ledger", ledger_down)
        why_not = submitter.why_not(queue.name)
        return Stop(*why_not) if why_not is not None else None

    async def decide(
        self, generation: Generation, questions: Sequence[Question], now: float
    ) -> list[Decided]:
        """Ask the chains."""
        counted = generation.sources.total(now)
        flying = sum(q.facts.batch.in_flight for q in questions)
        totals = Totals(pilots=None if counted is None else counted + flying)
        return await self._decider.decide(questions, totals)

    def settle(
        self,
        generation: Generation,
        questions: Sequence[Question],
        decided: Sequence[Decided],
        cycle: int,
        now: float,
        at: float,
    ) -> tuple[list[Record], list[Order]]:
        """Remember the decisions; return what history keeps of them, and what is to be sent."""
        records, orders = [], []
        for question, (decision, failed) in zip(questions, decided, strict=True):
            queue = question.queue
            submissions = ids_for(decision.submit)
            self.last[queue.name] = Last(decision, failed, question.facts, cycle, now, submissions)
            if question.counted_at is not None and not decision.blind:
                self._decided_on[queue.name] = (queue.batch, question.counted_at)
            records.append(_record(question, decision, cycle, at, submissions))
            if submissions:
                orders.append(self._order(generation, queue, decision.submit, cycle, submissions))
        return records, orders

    def _order(
        self,
        generation: Generation,
        queue: QueueSettings,
        n: int,
        cycle: int,
        submissions: tuple[str, ...],
    ) -> Order:
        return Order(
            queue=queue.name,
            n=n,
            job=self._job(queue),
            submit_params=queue.submit_params.model_dump(mode="json"),
            cycle=cycle,
            wrapper=generation.wrappers[queue.name].file_name,
            submissions=submissions,
        )

    def forget(self, kept: set[str]) -> None:
        """Drop the decisions of queues that left the settings."""
        for name in set(self.last) - kept:
            del self.last[name]
            self._decided_on.pop(name, None)


def _bound(most: int, submitter: Submitter) -> Bound:
    if submitter.limit < min(most, MOST_AT_ONCE):
        reason = f"a submission of more took too long: {submitter.limit} at a time until one works"
        return Bound("submit-limit", submitter.limit, reason)
    return max_submit(most)


def _record(
    question: Question, decision: Decision, cycle: int, at: float, submissions: tuple[str, ...]
) -> Record:
    return Record(
        queue=question.queue.name,
        cycle=cycle,
        last_cycle=cycle,
        at=at,
        last_at=at,
        facts=question.facts.model_dump(mode="json"),
        decision=decision.model_dump(mode="json", by_alias=True),
        submissions=submissions,
    )
