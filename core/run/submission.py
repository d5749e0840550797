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

from core.model.errors import ApftuiError, StateError, SubmitRefused
from core.model.submission import Found, Intent, IntentState, PilotJob, Submitted
from core.run.outstanding import Outstanding
from core.run.worker import Worker, WorkerLost
from core.run.writer import Writer
from core.settings.schema import BatchTable
from core.state import clock
from core.state.ledger import Ledger, LedgerReader

log = logging.getLogger("apftui.submission")

MOST_AT_ONCE = 1000
"""Pilots per submission: a schedd serves nobody else for 0.2 s while it takes so many."""

_CANARY_S = 600.0
"""A submission confirmed this recently must be found: jobs stay listed 15 minutes after the end."""


class Order(NamedTuple):
    """Pilots that a pass wants: `job` without the id that each submission gets."""

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


class Submitter:
    """Submissions to one batch system under one identity, one after another."""

    def __init__(
        self,
        batch: BatchTable,
        plugin: str,
        worker: Worker,
        *,
        factory: str,
        instance: str,
        epoch: int,
        ledger: Ledger,
        reader: LedgerReader,
        writer: Writer,
        outstanding: Outstanding,
        schedd: Callable[[], str | None],
        resolved: Callable[[Intent], None],
    ) -> None:
        """`schedd` names the batch system once it has answered; `resolved` hears of outcomes."""
        self.batch = batch
        self.plugin = plugin
        self.worker = worker
        self._factory = factory
        self._instance = instance
        self._epoch = epoch
        self._ledger = ledger
        self._reader = reader
        self._writer = writer
        self._outstanding = outstanding
        self._schedd = schedd
        self._resolved = resolved
        self.limit = MOST_AT_ONCE
        """Halved by each submission that was killed at its deadline, doubled by a good one."""
        self.alarms: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        """Queue → why its last submission was refused before it was sent."""
        self.swept = False
        self._seen = False
        self._waiting: set[str] = set()
        self._unknown: dict[str, _Unknown] = {}
        self._stopping = False
        self._orders, self._inbox = anyio.create_memory_object_stream[Order | None](math.inf)

    def why_not(self, queue: str) -> tuple[str, str] | None:
        """Return why nothing may be sent for a queue now, as (name, reason); None if it may."""
        if not self.swept:
            return "start", f"{self.batch.name}: its pilots of before the start are looked up first"
        if "look" in self.alarms:
            return "look-blind", self.alarms["look"]
        blocking = self._outstanding.blocking(queue)
        if blocking is not None and blocking.state is IntentState.CONFLICT:
            return "conflict", f"submission {blocking.submission}: {blocking.detail}"
        if blocking is not None:
            since = clock.wall() - blocking.at
            return "unresolved", (
                f"{blocking.n} pilots sent {since:.0f} s ago to {blocking.schedd}: outcome unknown"
                + (f" ({blocking.detail})" if blocking.detail else "")
            )
        if queue in self._waiting:
            return "unresolved", f"its last order still waits for {self.batch.name}"
        return None

    def order(self, order: Order) -> None:
        """Take an order of a pass; returns at once."""
        self._waiting.add(order.queue)
        self._orders.send_nowait(order)

    @property
    def busy(self) -> bool:
        """True while an order waits to be sent."""
        return bool(self._waiting)

    async def remove_all(self) -> None:
        """Remove every pilot of this factory from the batch system; call it when `run` is over."""
        schedd = self._schedd()
        if schedd is None:
            return
        deadline = self.batch.timing.deadline
        raw = await self.worker.call(
            "sweep", deadline, schedd=schedd, factory=self._factory, instance=self._instance
        )
        for found in raw:
            await self.worker.call("remove", deadline, schedd=schedd, found=found)

    def resolved_by_hand(self, intent: Intent) -> None:
        """Take an operator's word on an intent instead of the batch system's."""
        self._unknown.pop(intent.submission, None)
        self.alarms.pop(f"conflict {intent.submission}", None)

    def wake(self) -> None:
        """Tell that the batch system has answered."""
        self._orders.send_nowait(None)

    def stop(self) -> None:
        """Finish what is in flight, send nothing more; `run` returns then."""
        self._stopping = True
        self._orders.send_nowait(None)

    async def run(self) -> None:
        """Sweep, settle and send, until stopped."""
        for intent in self._outstanding.unresolved():
            if intent.batch == self.batch.name and intent.state is IntentState.INTENT:
                self._unknown[intent.submission] = _Unknown(0.0, 1.0)
        while not self._stopping:
            order = await self._next_order()
            if not self.swept:
                await self._sweep()
            if order is not None and not self._stopping:
                await self._submit(order)
            await self._settle_due()
        await self.worker.close()

    async def _next_order(self) -> Order | None:
        wait = math.inf
        if self._unknown:
            look_at = min(u.look_at for u in self._unknown.values())
            wait = max(0.0, look_at - clock.boottime())
        order = None
        with anyio.move_on_after(None if math.isinf(wait) else wait):
            order = await self._inbox.receive()
        return order

    # -- sending ---------------------------------------------------------------------------

    async def _submit(self, order: Order) -> None:
        schedd = self._schedd()
        try:
            if schedd is None:
                return
            intents = await self._intents(order, schedd)
            await self._writer.do(self._ledger.write_intents, intents)
        except SubmitRefused as error:
            self.refused[order.queue] = str(error)
            log.error("%s: not submitted: %s", order.queue, error)
            return
        except StateError as error:
            self.alarms["ledger"] = f"nothing is submitted: {error}"
            log.error("%s: nothing submitted: %s", order.queue, error)
            return
        except ApftuiError as error:
            self.refused[order.queue] = str(error)
            log.warning("%s: not submitted: %s", order.queue, error)
            return
        finally:
            self._waiting.discard(order.queue)
        self.alarms.pop("ledger", None)
        self.refused.pop(order.queue, None)
        for intent in intents:
            self._outstanding.put(intent)
        for intent in intents:
            if self._stopping:
                await self._resolve(intent, IntentState.ABSENT, "the factory stopped before it was sent")
            else:
                await self._send(intent)

    async def _intents(self, order: Order, schedd: str) -> list[Intent]:
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
                    submit_plugin=self.plugin,
                    schedd=schedd,
                    n=job.n,
                    epoch=self._epoch,
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
            self._outstanding.put(intent.model_copy(update={"detail": str(error)}))
            self._unknown[intent.submission] = _Unknown(clock.boottime(), 1.0)
        else:
            self.limit = min(MOST_AT_ONCE, self.limit * 2)
            await self._received(intent, receipt)

    async def _received(self, intent: Intent, receipt: Submitted) -> None:
        if receipt.n != intent.n:
            detail = f"asked for {intent.n} pilots, got {receipt.n} in cluster {receipt.cluster}"
            await self._resolve(intent, IntentState.CONFLICT, detail, receipt.cluster)
            return
        await self._resolve(intent, IntentState.CONFIRMED, "", receipt.cluster)
        if not self._seen:
            await self._prove_look(intent)

    # -- finding out -----------------------------------------------------------------------

    async def _settle_due(self) -> None:
        for submission, unknown in list(self._unknown.items()):
            if self._stopping or unknown.look_at > clock.boottime():
                continue
            intent = await self._writer.do(self._reader.intent, submission)
            if intent is None or intent.state is not IntentState.INTENT:
                del self._unknown[submission]
                continue
            try:
                await self._settle(intent)
            except (ApftuiError, ValueError) as error:
                log.warning("%s: looking for %s: %s", intent.queue, submission, error)
                self._outstanding.put(intent.model_copy(update={"detail": str(error)}))
                self._unknown[submission] = _Unknown(
                    clock.boottime() + unknown.wait, min(30.0, unknown.wait * 2)
                )

    async def _settle(self, intent: Intent) -> None:
        """Find what became of an intent. Whatever is no answer raises."""
        await self._check_look(intent)
        found = await self._look(intent)
        del self._unknown[intent.submission]
        if not found:
            detail = "not on the schedd: nothing could still send it when that was looked up"
            await self._resolve(intent, IntentState.ABSENT, detail)
        elif len(found) == 1 and found[0].n == intent.n:
            self._seen = True
            await self._resolve(
                intent, IntentState.CONFIRMED, "found on the schedd", found[0].cluster
            )
        else:
            clusters = ", ".join(f"{f.n} in cluster {f.cluster}" for f in found)
            detail = f"asked for {intent.n} pilots once, the schedd has {clusters}"
            await self._resolve(intent, IntentState.CONFLICT, detail, found[0].cluster)

    async def _look(self, intent: Intent) -> list[Found]:
        raw = await self.worker.call(
            "look",
            self.batch.timing.deadline,
            schedd=intent.schedd,
            submission=intent.submission,
            since=intent.at,
        )
        return [Found.model_validate(f) for f in raw]

    async def _check_look(self, intent: Intent) -> None:
        """Make sure that looks at this schedd find what must be there, before one says "none"."""
        if self._seen:
            return
        known = await self._writer.do(self._reader.last_confirmed, intent.schedd)
        if known is None or known.resolved_at is None:
            return
        if 0 <= clock.wall() - known.resolved_at < _CANARY_S:
            await self._prove_look(known)
            if not self._seen:
                raise StateError(self.alarms["look"])

    async def _prove_look(self, confirmed: Intent) -> None:
        try:
            found = await self._look(confirmed)
        except (ApftuiError, ValueError) as error:
            log.warning("%s: looking for %s: %s", confirmed.queue, confirmed.submission, error)
            return
        if found:
            self._seen = True
            self.alarms.pop("look", None)
            return
        self.alarms["look"] = (
            f"{confirmed.schedd} does not find submission {confirmed.submission} that it confirmed:"
            " nothing more is sent there; does it drop APFSubmission from job ads?"
        )
        log.error("%s", self.alarms["look"])

    async def _sweep(self) -> None:
        """Look for submissions that the ledger does not know, before the first one is sent."""
        schedd = self._schedd()
        if schedd is None:
            return
        try:
            raw = await self.worker.call(
                "sweep",
                self.batch.timing.deadline,
                schedd=schedd,
                factory=self._factory,
                instance=self._instance,
            )
            clusters: dict[str, list[Found]] = {}
            for found in map(Found.model_validate, raw):
                clusters.setdefault(found.submission, []).append(found)
            known = await self._writer.do(self._reader.known, list(clusters))
            for submission, of in clusters.items():
                await self._account(schedd, known.get(submission), of)
        except (ApftuiError, ValueError) as error:
            log.warning("%s: cannot look up its pilots: %s", self.batch.name, error)
            return
        self.swept = True

    async def _account(self, schedd: str, known: Intent | None, of: list[Found]) -> None:
        first, *twins = sorted(of, key=lambda f: (f.at, f.cluster))
        for twin in twins:
            text = f"submission {twin.submission} stood twice on {schedd}: cluster {twin.cluster} removed"
            log.error("%s", text)
            self.alarms[f"twin {twin.cluster}"] = text
            await self.worker.call(
                "remove",
                self.batch.timing.deadline,
                schedd=schedd,
                found=twin.model_dump(mode="json"),
            )
        if known is None:
            await self._adopt(schedd, first)
        elif known.state is IntentState.ABSENT:
            text = f"submission {first.submission} was taken for absent and is on {schedd}"
            log.error("%s", text)
            self.alarms[f"ghost {first.submission}"] = text
            await self._resolve(known, IntentState.CONFIRMED, text, first.cluster)

    async def _adopt(self, schedd: str, found: Found) -> None:
        text = f"{found.n} pilots of {found.queue} found on {schedd}, unknown to the ledger: adopted"
        log.warning("%s", text)
        self.alarms["adopted"] = f"{text} (cluster {found.cluster})"
        intent = Intent(
            submission=found.submission,
            queue=found.queue,
            batch=self.batch.name,
            submit_plugin=self.plugin,
            schedd=schedd,
            n=found.n,
            epoch=self._epoch,
            cycle=None,
            wrapper=found.wrapper,
            description="",
            state=IntentState.CONFIRMED,
            at=found.at,
            boottime=clock.boottime(),
            boot_id=clock.boot_id(),
            cluster=found.cluster,
            detail="found on the schedd, unknown to the ledger",
            resolved_at=clock.wall(),
            resolved_boottime=clock.boottime(),
        )
        await self._writer.do(self._ledger.write_intents, [intent])
        self._outstanding.put(intent)

    async def _resolve(
        self, intent: Intent, state: IntentState, detail: str, cluster: str | None = None
    ) -> None:
        """Commit an outcome; if that fails, it stays unknown and is looked up again."""
        try:
            await self._writer.do(self._ledger.resolve, intent.submission, state, detail, cluster)
        except StateError as error:
            self.alarms["ledger"] = f"nothing is submitted: {error}"
            self._unknown[intent.submission] = _Unknown(clock.boottime() + 5.0, 5.0)
            return
        outcome = intent.model_copy(
            update={
                "state": state,
                "detail": detail,
                "cluster": cluster or intent.cluster,
                "resolved_at": clock.wall(),
                "resolved_boottime": clock.boottime(),
            }
        )
        self._outstanding.put(outcome)
        if state is IntentState.CONFLICT:
            self.alarms[f"conflict {intent.submission}"] = f"{intent.queue}: {detail}"
        self._resolved(outcome)
