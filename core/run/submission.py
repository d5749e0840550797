"""Exactly once: from a decision to pilots on a batch system, or to the certainty of none.

The protocol, per submission: its intent is committed under a new uuid before anything is sent. It
is sent at most once. Only a receipt for all n is success. Anything else is "unknown": the process
that sent it is killed and reaped, and then the batch system is asked what it has, for as long as
that takes. What is missing is never sent again: the next decision sees that it is missing.
"""

import logging
import math
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import anyio

from core.model.errors import ApftuiError, SourceError, StateError, SubmitRefused
from core.model.submission import Intent, IntentState, PilotJob, Submitted
from core.run.books import Books
from core.run.lookup import Lookup
from core.run.worker import Worker, WorkerLost
from core.settings.schema import BatchTable
from core.state import clock

log = logging.getLogger("apftui.submission")

MOST_AT_ONCE = 1000
"""Pilots per submission: a schedd serves nobody else for 0.2 s while it takes so many."""

_LONGEST_WAIT_S = 30.0
"""Between two looks for an intent whose outcome is unknown."""


class Order(NamedTuple):
    """Pilots that a pass wants: `job` without the id and number that each submission gets."""

    queue: str
    n: int
    job: dict[str, Any]
    submit_params: dict[str, Any]
    cycle: int
    wrapper: str
    submissions: tuple[str, ...]
    """The ids that it will be sent under, one for each `MOST_AT_ONCE`."""


def ids_for(n: int) -> tuple[str, ...]:
    """Return new submission ids, as many as n pilots need."""
    return tuple(str(uuid.uuid4()) for _ in range(math.ceil(n / MOST_AT_ONCE)))


class _Unknown(NamedTuple):
    """When to look again for an unresolved intent, and how long to wait after that."""

    look_at: float
    wait: float
    why: str = ""
    """What hindered its receipt."""


class Submitter:
    """Submissions to one batch system under one identity, one after another."""

    def __init__(
        self,
        batch: BatchTable,
        plugin: str,
        worker: Worker,
        books: Books,
        lookup: Lookup,
        schedd: Callable[[], str | None],
        wanted: Callable[[str], bool],
    ) -> None:
        """`schedd` names the batch system once it has answered.

        `wanted` tells whether a queue may still get pilots: an order may wait for minutes, and an
        operator stop its queue meanwhile.
        """
        self.batch = batch
        self.books = books
        self.limit = MOST_AT_ONCE
        """Halved by each submission that was killed at its deadline, doubled by a good one."""
        self.refused: dict[str, str] = {}
        """Queue → why its last submission was refused before it was sent."""
        self.sending: set[str] = set()
        """Submissions on their way just now: nobody need look for these."""
        self.swept = anyio.Event()
        self.worker = worker
        self._plugin = plugin
        self._lookup = lookup
        self._schedd = schedd
        self._wanted = wanted
        self._waiting: set[str] = set()
        self._unknown: dict[str, _Unknown] = {}
        self._stopping = anyio.Event()
        self._orders, self._inbox = anyio.create_memory_object_stream[Order | None](math.inf)

    def why_not(self, queue: str) -> tuple[str, str] | None:
        """Return why nothing may be sent for a queue now, as (name, reason); None if it may."""
        if not self.swept.is_set():
            return "start", f"{self.batch.name}: its pilots of before the start are looked up first"
        if (blind := self.books.alarms.get("look")) is not None:
            return "look-blind", blind
        blocking = self.books.outstanding.blocking(queue)
        if blocking is not None and blocking.state is IntentState.CONFLICT:
            return "conflict", f"submission {blocking.submission}: {blocking.detail}"
        if blocking is not None and blocking.submission in self.sending:
            return "unresolved", f"{blocking.n} pilots are on their way to {blocking.schedd}"
        if blocking is not None:
            since = max(0.0, clock.wall() - blocking.at)
            why = f" ({blocking.detail})" if blocking.detail else ""
            return "unresolved", (
                f"{blocking.n} pilots sent to {blocking.schedd} {since:.0f} s ago:"
                f" outcome unknown{why}"
            )
        if self.ordered(queue):
            return "unresolved", f"its last order still waits for {self.batch.name}"
        return None

    def ordered(self, queue: str) -> bool:
        """True while an order of a queue waits to be sent: its intent is not in the books yet."""
        return queue in self._waiting

    @property
    def busy(self) -> bool:
        """True while an order waits to be sent, or is on its way."""
        return bool(self._waiting or self.sending)

    def order(self, order: Order) -> None:
        """Take an order of a pass; returns at once."""
        self._waiting.add(order.queue)
        self._orders.send_nowait(order)

    def wake(self) -> None:
        """Tell that the batch system has answered."""
        self._orders.send_nowait(None)

    def stop(self) -> None:
        """Finish what is in flight, send nothing more; `run` returns then."""
        self._stopping.set()
        self._orders.send_nowait(None)

    async def run(self) -> None:
        """Sweep, settle and send, until stopped."""
        for intent in self.books.outstanding.unresolved():
            # Those of another plug-in are on their way just now, or its own to find.
            mine = (intent.batch, intent.submit_plugin) == (self.batch.name, self._plugin)
            if mine and intent.state is IntentState.INTENT:
                self._unknown[intent.submission] = _Unknown(0.0, 1.0)
        try:
            while not self._stopping.is_set():
                order = await self._next_order()
                if not self.swept.is_set():
                    await self._sweep()
                if order is not None:
                    await self._submit(order)
                await self._settle_due()
        finally:
            await self.worker.close()

    async def remove_all(self) -> None:
        """Remove every pilot of this factory from the batch system; call it when `run` is over.

        Raise ApftuiError or ValueError if any may be left.
        """
        schedd = self._schedd()
        if schedd is None:
            raise SourceError(f"{self.batch.name} has not answered yet")
        failed: list[ApftuiError] = []
        try:
            for found in await self._lookup.all(schedd):
                try:
                    await self._lookup.remove(schedd, found)
                except ApftuiError as error:
                    failed.append(error)
        finally:
            await self.worker.close()
        if failed:
            raise failed[0]

    async def _next_order(self) -> Order | None:
        """Wait for an order, a wake, or the time to look again for an unresolved intent."""
        look_at = min((u.look_at for u in self._unknown.values()), default=math.inf)
        try:
            with anyio.fail_after(max(0.0, look_at - clock.boottime())):
                return await self._inbox.receive()
        except TimeoutError:
            return None

    async def _sweep(self) -> None:
        schedd = self._schedd()
        if schedd is None:
            return
        try:
            await self._lookup.sweep(schedd)
        except (ApftuiError, ValueError) as error:
            log.warning("%s: cannot look up its pilots: %s", self.batch.name, error)
        else:
            self.swept.set()

    async def _submit(self, order: Order) -> None:
        try:
            intents = await self._intents(order)
            if (dropped := self._dropped(order.queue)) is not None:
                log.info("%s: %d pilots ordered: %s", order.queue, order.n, dropped)
                return
            await self.books.write(intents)
        except (ApftuiError, ValueError) as error:
            # Nothing was sent: no intent, no submission. The next decision sees what is missing.
            if not isinstance(error, StateError):
                self.refused[order.queue] = str(error)
            log.error("%s: not submitted: %s", order.queue, error)
            return
        finally:
            self._waiting.discard(order.queue)
        self.refused.pop(order.queue, None)
        self.sending.update(order.submissions)
        for intent in intents:
            if (dropped := self._dropped(order.queue)) is not None:
                await self._resolve(intent, IntentState.ABSENT, dropped)
            elif any(i.submission in self._unknown for i in intents):
                detail = "not sent: the outcome of the one before it is unknown"
                await self._resolve(intent, IntentState.ABSENT, detail)
            else:
                await self._send(intent)
            self.sending.discard(intent.submission)

    def _dropped(self, queue: str) -> str | None:
        """Return why what was ordered for a queue is not to be sent any more; None if it is."""
        if self._stopping.is_set():
            return "the factory stopped before it was sent"
        if not self._wanted(queue):
            return "the queue was stopped, or has left, before it was sent"
        return None

    async def _intents(self, order: Order) -> list[Intent]:
        schedd = self._schedd()
        if schedd is None:
            raise SubmitRefused(f"{self.batch.name} has not answered yet")
        intents = []
        left = order.n
        for submission in order.submissions:
            job = PilotJob(submission=submission, n=min(left, MOST_AT_ONCE), **order.job)
            left -= job.n
            description = await self.worker.call(
                "describe",
                self.batch.timing.deadline,
                job=job.model_dump(mode="json"),
                params=order.submit_params,
            )
            intents.append(
                Intent(
                    submission=submission,
                    queue=order.queue,
                    batch=self.batch.name,
                    submit_plugin=self._plugin,
                    schedd=schedd,
                    n=job.n,
                    epoch=self.books.state.epoch,
                    cycle=order.cycle,
                    wrapper=order.wrapper,
                    description=description,
                    state=IntentState.INTENT,
                    at=clock.wall(),
                    boottime=clock.boottime(),
                    boot_id=clock.boot_id(),
                )
            )
        return intents

    async def _send(self, intent: Intent) -> None:
        deadline = self.batch.submit_deadline
        try:
            raw = await self.worker.call("submit", deadline, submission=intent.submission)
            receipt = Submitted.model_validate(raw)
        except SubmitRefused as error:
            self.refused[intent.queue] = str(error)
            log.error("%s: refused: %s", intent.queue, error)
            await self._resolve(intent, IntentState.ABSENT, f"refused: {error}")
        except (ApftuiError, ValueError) as error:
            # Whatever it says, it may have been committed. Nothing is asked before it is dead.
            await self.worker.close()
            if isinstance(error, WorkerLost) and error.deadline:
                self.limit = max(1, intent.n // 2)
            log.warning("%s: outcome of %d pilots unknown: %s", intent.queue, intent.n, error)
            self._look_again(intent, str(error), _Unknown(clock.boottime(), 1.0, str(error)))
        else:
            self.limit = min(MOST_AT_ONCE, self.limit * 2)
            await self._received(intent, receipt)

    async def _received(self, intent: Intent, receipt: Submitted) -> None:
        if receipt.n != intent.n:
            detail = f"asked for {intent.n} pilots, got {receipt.n} in cluster {receipt.cluster}"
            await self._resolve(intent, IntentState.CONFLICT, detail, receipt.cluster)
            return
        await self._resolve(intent, IntentState.CONFIRMED, "", receipt.cluster)
        await self._lookup.prove(intent)

    async def _settle_due(self) -> None:
        for submission, unknown in list(self._unknown.items()):
            if self._stopping.is_set() or unknown.look_at > clock.boottime():
                continue
            later = _Unknown(
                clock.boottime() + unknown.wait, min(_LONGEST_WAIT_S, unknown.wait * 2), unknown.why
            )
            self._unknown[submission] = later
            try:
                intent = await self.books.intent(submission)
            except StateError as error:
                log.warning("looking for %s: %s", submission, error)
                continue
            if intent is None or intent.state is not IntentState.INTENT:
                del self._unknown[submission]
                if intent is not None:  # an operator's word came between
                    self.books.outstanding.put(intent)
                continue
            try:
                if await self._lookup.settle(intent, unknown.why):
                    await self._say_why(submission, unknown.why)
                    del self._unknown[submission]
            except (ApftuiError, ValueError) as error:
                log.warning("%s: looking for %s: %s", intent.queue, submission, error)
                self._look_again(intent, str(error), later)

    async def _say_why(self, submission: str, why: str) -> None:
        """Tell the queue's readers what kept its pilots away, if none came."""
        intent = await self.books.intent(submission)
        if why and intent is not None and intent.state is IntentState.ABSENT:
            self.refused[intent.queue] = why

    def _look_again(self, intent: Intent, detail: str, unknown: _Unknown) -> None:
        self.books.outstanding.put(intent.model_copy(update={"detail": detail}))
        self._unknown[intent.submission] = unknown

    async def _resolve(
        self, intent: Intent, state: IntentState, detail: str, cluster: str | None = None
    ) -> None:
        if not await self.books.resolve(intent, state, detail, cluster):
            self._look_again(intent, "its outcome could not be written", _Unknown(0.0, 1.0))
