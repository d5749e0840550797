"""The pass: decide all due queues in name order against running totals, then order pilots."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from core.decision.queues import Decided
from core.model.decision import Decision
from core.model.errors import StateError
from core.model.facts import Facts
from core.model.text import clean
from core.run.decider import Decider, Question
from core.run.generation import Generation
from core.run.moment import Moment
from core.run.opening import State
from core.run.outstanding import REMEMBERED_S, Outstanding
from core.run.pilots import pilot_job, prepare_job
from core.run.stops import Stopped
from core.run.submission import Order, ids_for
from core.run.writer import Writer
from core.settings.schema import QueueSettings, Settings
from core.state import clock
from core.state.history import History, Record

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
        state: State,
        outstanding: Outstanding,
        writer: Writer,
        alarms: dict[str, str],
        settings: Settings,
        stopped: Stopped,
    ) -> None:
        """`alarms` is where passes tell of a disk that takes no writes; `stopped` by operators."""
        self.cycle = 0
        self.last: dict[str, Last] = {}
        self.last_pass: float | None = None
        """Boottime."""
        self._state = state
        self._outstanding = outstanding
        self._writer = writer
        self._alarms = alarms
        self._stopped = stopped
        self._decider = Decider()
        self._history = History(settings.factory.state, settings.factory.history_days)
        self._decided_on: dict[str, tuple[str, float]] = {}
        self._ledger_down: str | None = None

    async def run(self, generation: Generation) -> None:
        """Decide all queues that are due, record the decisions, order the pilots."""
        self._ledger_down = await self._count()
        if self._ledger_down is None:
            # What could not be written is told until something can be, sent or not.
            for submitter in generation.submitters.values():
                submitter.books.alarms.pop("ledger", None)
        now = clock.boottime()
        generation.sources.remember(generation.settings, now)
        self._outstanding.forget(min(now - REMEMBERED_S, generation.sources.oldest(now)))
        moment = self.moment(self._stopped)
        every = (
            moment.question(generation, queue)
            for _, queue in sorted(generation.settings.queues.items())
        )
        questions = [question for question in every if self.due(question)]
        decided = await self._decider.decide(questions, moment.totals(generation))
        records, orders = self._settle(generation, questions, decided, now)
        await self._keep(records)
        if orders:
            self._alarms.pop("prepare", None)
        for order in orders:
            await self._place(generation, order)
        self.last_pass = now
        _log(self.cycle, questions, decided)

    async def close(self) -> None:
        """End the decider's process and close the history."""
        await self._decider.worker.close()
        self._history.close()

    async def _count(self) -> str | None:
        """Number the pass; return why nothing can be submitted if the ledger takes no writes."""
        try:
            self.cycle = await self._writer.do(self._state.ledger.next_cycle)
        except StateError as error:
            self.cycle += 1
            self._alarms["ledger"] = f"nothing is submitted: {error}"
            return f"nothing is sent without its intent on disk: {error}"
        self._alarms.pop("ledger", None)
        return None

    def moment(self, stopped: Stopped) -> Moment:
        """Return what a pass that began now would find, whatever the settings are."""
        return Moment(self._outstanding, clock.boottime(), stopped, self._ledger_down)

    def due(self, question: Question) -> bool:
        """Tell whether a queue's batch system has answered since it was last decided.

        Deciding twice on one count would send the same pilots twice.
        """
        count = (question.queue.batch, question.counted_at)
        return question.counted_at is None or self._decided_on.get(question.queue.name) != count

    def _settle(
        self,
        generation: Generation,
        questions: Sequence[Question],
        decided: Sequence[Decided],
        now: float,
    ) -> tuple[list[Record], list[Order]]:
        """Remember the decisions; return what history keeps of them, and what is to be sent."""
        records, orders = [], []
        for question, (decision, failed) in zip(questions, decided, strict=True):
            queue = question.queue
            submissions = ids_for(decision.submit)
            self.last[queue.name] = Last(
                decision, failed, question.facts, self.cycle, now, submissions
            )
            if question.counted_at is not None and not decision.blind:
                self._decided_on[queue.name] = (queue.batch, question.counted_at)
            records.append(_record(question, decision, self.cycle, submissions))
            if not submissions:
                generation.submitter(queue).refused.pop(queue.name, None)
            else:
                orders.append(self._order(generation, queue, decision.submit, submissions))
        return records, orders

    def _order(
        self, generation: Generation, queue: QueueSettings, n: int, submissions: tuple[str, ...]
    ) -> Order:
        wrapper = generation.wrappers[queue.name]
        return Order(
            queue=queue.name,
            n=n,
            job=pilot_job(generation.settings.factory, self._state.instance, queue, wrapper),
            submit_params=queue.submit_params.model_dump(mode="json"),
            cycle=self.cycle,
            wrapper=wrapper.file_name,
            submissions=submissions,
        )

    async def _keep(self, records: Sequence[Record]) -> None:
        try:
            await self._writer.do(self._history.record, self.cycle, clock.wall(), records)
        except StateError as error:
            self._alarms["history"] = f"decisions are not recorded: {error}"
        else:
            self._alarms.pop("history", None)

    async def _place(self, generation: Generation, order: Order) -> None:
        queue = generation.settings.queues[order.queue]
        try:
            await self._writer.do(prepare_job, order.job, generation.wrappers[order.queue])
        except OSError as error:
            where = f"{error.strerror}: {error.filename}"
            self._alarms["prepare"] = clean(
                f"{order.queue}: its pilots cannot be prepared: {where}"
            )
            return
        generation.submitter(queue).order(order)

    def forget(self, kept: set[str]) -> None:
        """Drop the decisions of queues that left the settings."""
        for name in set(self.last) - kept:
            del self.last[name]
            self._decided_on.pop(name, None)


def _record(
    question: Question, decision: Decision, cycle: int, submissions: tuple[str, ...]
) -> Record:
    return Record(
        queue=question.queue.name,
        cycle=cycle,
        last_cycle=cycle,
        at=clock.wall(),
        last_at=clock.wall(),
        facts=question.facts.model_dump(mode="json"),
        decision=decision.model_dump(mode="json", by_alias=True),
        submissions=submissions,
    )


def _log(cycle: int, questions: Sequence[Question], decided: Sequence[Decided]) -> None:
    acts = [d.decision for d in decided if d.decision.submit]
    if not acts:
        return
    told = ", ".join(f"{d.queue} +{d.submit}" for d in acts[:20])
    log.info(
        "pass %d: %d pilots for %d of %d queues: %s%s",
        cycle,
        sum(d.submit for d in acts),
        len(acts),
        len(questions),
        told,
        f" and {len(acts) - 20} more" if len(acts) > 20 else "",
        extra={"cycle": cycle, "submit": {d.queue: d.submit for d in acts}},
    )
