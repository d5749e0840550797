"""The factory: one life from opening the state folder to the last receipt."""

import logging
import math
import os
import uuid
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from core.decision.queues import Decided
from core.model.errors import ApftuiError, NotFound, StateError
from core.model.submission import Intent, IntentState
from core.model.text import clean
from core.run.board import Board
from core.run.changes import Changes, Proposal, Wanted
from core.run.decider import Decider, Question
from core.run.generation import (
    Generation,
    batch_source,
    render_wrappers,
    submit_worker,
    submitter_keys,
    wms_source,
)
from core.run.facts import BatchSource, Sources, WmsSource
from core.run.opening import State
from core.run.outstanding import Outstanding
from core.run.passes import Passes
from core.run.pilots import pilot_job, prepare_job
from core.run.rows import rows
from core.run.submission import Order, Submitter
from core.run.views import FactoryStatus, SourceStatus
from core.run.writer import Writer
from core.settings.load import Layers, read_layers, resolve
from core.settings.overrides import find
from core.settings.schema import BatchTable, QueueSettings, Settings, WmsTable
from core.state import clock
from core.state.history import History

log = logging.getLogger("apftui.factory")

_OUTSTANDING_S = 3600.0
"""Resolved submissions are kept in memory so long, or as long as facts need them."""


class Factory:
    """A running factory. The API reads it, and changes it through its public methods."""

    def __init__(self, layers: Layers, state: State, started_by: str) -> None:
        self.boot = uuid.uuid4().hex
        self.started_by = started_by
        self.board = Board()
        self.state = state
        self.outstanding = Outstanding(state.reader.recent(clock.wall() - _OUTSTANDING_S))
        self.writer = Writer()
        self._folder = layers.base.factory.state
        self.changes = Changes(self._folder, state.ledger, self.writer)
        self.changes.reconcile(state.reader)
        self._layers = layers
        self._history = History(self._folder, layers.base.factory.history_days)
        self._decider = Decider()
        self._passes = Passes(
            self._decider, self.outstanding, self._paused_because, self._job
        )
        self._alarms: dict[str, str] = {}
        if state.ledger.alarm:
            self._alarms["state"] = state.ledger.alarm
        settings = resolve(layers, self.changes.overrides)
        self.generation = Generation(settings, Sources({}, {}), {}, render_wrappers(settings))
        # A pass, a reload and a change each see settings that stand still.
        self._still = anyio.Lock()
        self.cycle = 0
        self._last_pass: float | None = None
        self._next_pass: float | None = None
        self._stop = anyio.Event()
        self._remove_pilots = False
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._ended: dict[int, anyio.Event] = {}
        self._tasks: TaskGroup | None = None

    # -- life --------------------------------------------------------------------------------

    async def run(
        self, serve: Callable[["Factory"], Awaitable[None]], cycles: int | None = None
    ) -> None:
        """Run until stopped, or for so many passes; then finish what is in flight.

        `serve` opens the control API and returns; what it opened ends with the task group.
        """
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._adopt(self.generation.settings)
                await serve(self)
                await self._pass_until_stopped(cycles)
                await self._finish()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()

    def stop(self, *, remove_pilots: bool = False) -> None:
        """End the factory after what is in flight. Pilots are left alone unless told."""
        self._remove_pilots = self._remove_pilots or remove_pilots
        self._stop.set()
        self.board.tell()

    @property
    def stopping(self) -> bool:
        """True once the factory was told to stop."""
        return self._stop.is_set()

    async def _pass_until_stopped(self, cycles: int | None) -> None:
        await self._first_answers()
        done = 0
        while not self.stopping and (cycles is None or done < cycles):
            started = clock.boottime()
            await self._one_pass()
            done += 1
            rest = self.generation.settings.factory.cycle - (clock.boottime() - started)
            self._next_pass = clock.boottime() + max(0.0, rest)
            self.board.tell()
            if cycles is not None and done == cycles:
                await self._wait_for_tended_pilots()
                return
            with anyio.move_on_after(max(0.05, rest)):
                await self._stop.wait()

    async def _first_answers(self) -> None:
        """Give every source the time for one poll, so that the first pass is not blind."""
        sources = [*self.generation.sources.wms.values(), *self.generation.sources.batch.values()]
        with anyio.move_on_after(max((s.source.timing.deadline for s in sources), default=0.0)):
            for source in sources:
                await source.source.polled.wait()
            while not all(s.swept for s in self.generation.submitters.values()):
                await anyio.sleep(0.05)

    async def _wait_for_tended_pilots(self) -> None:
        """Wait up to 60 s for pilots that would wait for ever without a factory to start them."""
        tended = [
            (table.name, self.generation.sources.batch[table.name])
            for table in self.generation.settings.batch.values()
            if _tended(table)
        ]
        with anyio.move_on_after(60):
            while any(o.batch in dict(tended) for o in self.outstanding.unresolved()) or any(
                s.busy for s in self.generation.submitters.values()
            ):
                await anyio.sleep(0.1)
            settled = clock.boottime()
            while any(_alive(source, settled) for _, source in tended):
                for _, source in tended:
                    source.source.poll_soon()
                await anyio.sleep(0.5)

    async def _finish(self) -> None:
        """Let submissions in flight end: a receipt that is not awaited is a question tomorrow."""
        for submitter in self.generation.submitters.values():
            submitter.stop()
        for submitter in self.generation.submitters.values():
            await self._ended[id(submitter)].wait()
        if self._remove_pilots:
            for submitter in self.generation.submitters.values():
                await submitter.remove_all()

    async def _close(self) -> None:
        sources = [*self.generation.sources.wms.values(), *self.generation.sources.batch.values()]
        for worker in (
            self._decider.worker,
            *(s.source.worker for s in sources),
            *(s.worker for s in self.generation.submitters.values()),
        ):
            await worker.close()
        self._history.close()
        self.state.reader.close()
        self.state.ledger.close()
        self.state.lock.release()

    # -- the pass ----------------------------------------------------------------------------

    async def _one_pass(self) -> None:
        async with self._still:
            await self._expire()
            ledger_down = await self._count_pass()
            now = clock.boottime()
            generation = self.generation
            generation.sources.remember(generation.settings, now)
            horizon = generation.sources.horizon(generation.settings, now)
            self.outstanding.forget(min(now - _OUTSTANDING_S, horizon))
            questions = self._passes.questions(generation, now, ledger_down)
            decided = await self._passes.decide(generation, questions, now)
            records, orders = self._passes.settle(
                generation, questions, decided, self.cycle, now, clock.wall()
            )
            await self._keep(records)
            await self._place(generation, orders)
            self._last_pass = now
        self._log_pass(questions, decided)
        self.refresh()

    async def _expire(self) -> None:
        proposal = self.changes.propose_expiry(self._layers)
        if proposal is None:
            return
        try:
            await self._apply(proposal)
        except ApftuiError as error:
            self._alarms["expiry"] = f"an override could not be ended: {error}"
        else:
            self._alarms.pop("expiry", None)

    async def _count_pass(self) -> str | None:
        """Number the pass; return why nothing can be submitted if the ledger takes no writes."""
        try:
            self.cycle = await self.writer.do(self.state.ledger.next_cycle)
        except StateError as error:
            self.cycle += 1
            self._alarms["ledger"] = f"nothing is submitted: {error}"
            return f"no submission without its intent on disk: {error}"
        self._alarms.pop("ledger", None)
        return None

    async def _keep(self, records: Sequence[Any]) -> None:
        try:
            await self.writer.do(self._history.record, self.cycle, clock.wall(), records)
        except StateError as error:
            self._alarms["history"] = f"decisions are not recorded: {error}"
        else:
            self._alarms.pop("history", None)

    async def _place(self, generation: Generation, orders: Sequence[Order]) -> None:
        for order in orders:
            queue = generation.settings.queues[order.queue]
            try:
                await self.writer.do(prepare_job, order.job, generation.wrappers[queue.name])
            except OSError as error:
                text = f"{queue.name}: cannot prepare its pilots: {error.strerror}: {error.filename}"
                self._alarms["prepare"] = clean(text)
                continue
            self._alarms.pop("prepare", None)
            generation.submitter(queue).order(order)

    def _job(self, queue: QueueSettings) -> dict[str, object]:
        return pilot_job(
            self.generation.settings.factory,
            self.state.instance,
            queue,
            self.generation.wrappers[queue.name],
        )

    def _log_pass(self, questions: Sequence[Question], decided: Sequence[Decided]) -> None:
        acts = [d.decision for d in decided if d.decision.submit]
        if acts:
            told = ", ".join(f"{d.queue} +{d.submit}" for d in acts[:20])
            more = f" and {len(acts) - 20} more" if len(acts) > 20 else ""
            log.info(
                "pass %d: %d pilots for %d of %d queues: %s%s",
                self.cycle,
                sum(d.submit for d in acts),
                len(acts),
                len(questions),
                told,
                more,
                extra={"cycle": self.cycle, "submit": {d.queue: d.submit for d in acts}},
            )

    # -- settings ----------------------------------------------------------------------------

    async def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Read the settings anew; return (added, changed, removed) queues.

        Raise SettingsError if anything is wrong with them: then the running ones stay.
        """
        async with self._still:
            before = self.generation.settings
            try:
                layers = await anyio.to_thread.run_sync(read_layers, before.path)
                if layers.base.factory.state != before.factory.state:
                    raise StateError(
                        "[factory] state has changed", "stop the factory, then start it again"
                    )
                settings = resolve(layers, self.changes.overrides)
                await self._adopt(settings)
            except ApftuiError as error:
                self._alarms["settings"] = f"the last reload was refused: {error}"
                self.refresh()
                raise
            self._layers = layers
            await self.changes.set_aside_orphans(settings)
            self._alarms.pop("settings", None)
        self.refresh()
        old, new = before.queues, settings.queues
        changed = [n for n in new if n in old and new[n] != old[n]]
        log.info("settings reloaded from %s", before.path)
        return sorted(new.keys() - old.keys()), changed, sorted(old.keys() - new.keys())

    async def change(
        self, wanted: Sequence[Wanted], *, by: str, why: str, until: float | None
    ) -> dict[str, Any]:
        """Make an operator's change, seen by everybody at once. Return the action."""
        async with self._still:
            settings = self.generation.settings
            for one in wanted:
                if one.queue not in settings.queues:
                    raise NotFound(f"there is no queue {one.queue}", "see `apftui queue list`")
            proposal = self.changes.propose(
                self._layers, settings, wanted, by=by, why=why, until=until
            )
            return await self._apply(proposal)

    async def undo(self, action: str, *, by: str, why: str) -> dict[str, Any]:
        """Put back what stood before an action. Return the new action."""
        async with self._still:
            proposal = self.changes.propose_undo(
                self._layers, self.state.reader, action, by=by, why=why
            )
            return await self._apply(proposal)

    async def _apply(self, proposal: Proposal) -> dict[str, Any]:
        render_wrappers(proposal.settings)
        done = await self.changes.apply(proposal)
        await self._adopt(proposal.settings)
        self.refresh()
        return done

    async def resolve(
        self, submission: str, state: IntentState, *, by: str, why: str
    ) -> Intent:
        """Take an operator's word on an intent whose batch system never answers again."""
        intent = next((i for i in self.outstanding.unresolved() if i.submission == submission), None)
        if intent is None:
            raise NotFound(f"{submission} is no unresolved intent", "see `apftui intent list`")
        detail = f"{state} by the word of {by}: {why}"
        await self.writer.do(self.state.ledger.resolve, submission, state, detail)
        outcome = intent.model_copy(
            update={
                "state": state,
                "detail": detail,
                "resolved_at": clock.wall(),
                "resolved_boottime": clock.boottime(),
            }
        )
        self.outstanding.put(outcome)
        for submitter in self.generation.submitters.values():
            submitter.resolved_by_hand(outcome)
        log.warning("submission %s is %s", submission, detail)
        self.refresh()
        return outcome

    async def _adopt(self, settings: Settings) -> None:
        """Run with these settings from now on; keep sources and submitters that are the same."""
        wrappers = render_wrappers(settings)
        old = self.generation
        kept = old.settings
        wms: dict[str, WmsSource] = {}
        batch: dict[str, BatchSource] = {}
        for name, table in settings.batch.items():
            same = kept.batch.get(name) == table and name in old.sources.batch
            batch[name] = (
                old.sources.batch[name] if same else self._start_batch(table, settings)
            )
        first = [b.source.polled for b in batch.values()]
        for name, wms_table in settings.wms.items():
            same = kept.wms.get(name) == wms_table and name in old.sources.wms
            wms[name] = old.sources.wms[name] if same else self._start_wms(wms_table, first)
        submitters = dict(old.submitters)
        for key in set(submitters) - submitter_keys(settings):
            submitters.pop(key).stop()
        for key in submitter_keys(settings):
            present = submitters.get(key)
            if present is None or present.batch != settings.batch[key[0]]:
                submitters[key] = self._start_submitter(settings.batch[key[0]], key[1], present)
        self.generation = Generation(settings, Sources(wms, batch), submitters, wrappers)
        for gone in (
            *(s for n, s in old.sources.wms.items() if wms.get(n) is not s),
            *(s for n, s in old.sources.batch.items() if batch.get(n) is not s),
        ):
            self._scopes.pop(id(gone.source)).cancel()
            await gone.source.worker.close()
        self._passes.forget(set(settings.queues))

    def _start_batch(self, table: BatchTable, settings: Settings) -> BatchSource:
        source = batch_source(table, settings.factory.name, self.state.instance)

        def answered() -> None:
            for key, submitter in self.generation.submitters.items():
                if key[0] == table.name:
                    submitter.wake()
            self.refresh()

        self._start(self._poll, source, [], answered)
        return source

    def _start_wms(self, table: WmsTable, first: Sequence[anyio.Event]) -> WmsSource:
        source = wms_source(table, lambda: self.generation.settings)
        self._start(self._poll, source, first, self.refresh)
        return source

    async def _poll(
        self,
        source: WmsSource | BatchSource,
        first: Sequence[anyio.Event],
        answered: Callable[[], None],
    ) -> None:
        """Poll for ever; demand is only of use once there is a pilot count as old as it."""
        with anyio.CancelScope() as scope:
            self._scopes[id(source.source)] = scope
            for polled in first:
                await polled.wait()
            await source.source.run(answered)

    def _start_submitter(
        self, table: BatchTable, plugin: str, before: Submitter | None
    ) -> Submitter:
        state = self.state
        submitter = Submitter(
            table,
            plugin,
            submit_worker(table, plugin, self._folder, state.epoch),
            factory=self.generation.settings.factory.name,
            instance=state.instance,
            epoch=state.epoch,
            ledger=state.ledger,
            reader=state.reader,
            writer=self.writer,
            outstanding=self.outstanding,
            schedd=lambda: self._schedd(table.name),
            resolved=lambda _: self.refresh(),
        )
        self._ended[id(submitter)] = anyio.Event()
        self._start(self._submit, submitter, before)
        return submitter

    async def _submit(self, submitter: Submitter, before: Submitter | None) -> None:
        if before is not None:
            before.stop()
            await self._ended[id(before)].wait()
        try:
            await submitter.run()
        finally:
            self._ended[id(submitter)].set()

    def _schedd(self, batch: str) -> str | None:
        source = self.generation.sources.batch.get(batch)
        polled = source.source.last if source else None
        return polled.answer.schedd if polled else None

    def _start(self, task: Callable[..., Awaitable[Any]], *args: Any) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(task, *args)

    # -- what is shown -----------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the board up to date."""
        now = clock.boottime()
        self.generation.sources.remember(self.generation.settings, now)
        self.board.show(
            rows(self.generation, self._passes.last, self.outstanding, self._paused_because, now)
        )
        self.board.tell()

    def _paused_because(self, queue: str) -> str:
        entry = find(self.changes.overrides, queue, "paused")
        if entry is None or entry.orphaned:
            return "paused in the settings"
        why = f": {entry.why}" if entry.why else ""
        return f"paused by {entry.by}{why}"

    def status(self) -> FactoryStatus:
        """Return what there is to say about the factory itself."""
        now = clock.boottime()
        generation = self.generation
        factory = generation.settings.factory
        return FactoryStatus(
            name=factory.name,
            version=version("apftui"),
            boot=self.boot,
            pid=os.getpid(),
            started_by=self.started_by,
            config=str(generation.settings.path),
            state_folder=str(self._folder),
            cycle_s=factory.cycle,
            cycle=self.cycle,
            next_pass_s=None if self._next_pass is None else max(0.0, self._next_pass - now),
            last_pass_age_s=None if self._last_pass is None else now - self._last_pass,
            alarms=tuple(self._all_alarms()),
            sources=tuple(self._source_statuses(now)),
            orphans=generation.settings.orphans,
            unresolved=len(self.outstanding.unresolved()),
            stopping=self.stopping,
        )

    def _all_alarms(self) -> list[str]:
        alarms = list(self._alarms.values())
        for submitter in self.generation.submitters.values():
            alarms += [a for a in submitter.alarms.values() if a not in alarms]
        unserved = {
            i.batch
            for i in self.outstanding.unresolved()
            if not any(key[0] == i.batch for key in self.generation.submitters)
        }
        alarms += [
            f"unresolved submissions to batch {name}, which is in the settings no more:"
            " see `apftui intent list`"
            for name in sorted(unserved)
        ]
        return alarms

    def _source_statuses(self, now: float) -> list[SourceStatus]:
        found = []
        for kind, tables, sources in (
            ("wms", self.generation.settings.wms, self.generation.sources.wms),
            ("batch", self.generation.settings.batch, self.generation.sources.batch),
        ):
            for name, table in tables.items():  # type: ignore[attr-defined]
                source = sources[name].source  # type: ignore[attr-defined]
                last = source.last
                found.append(
                    SourceStatus(
                        kind=kind,
                        name=name,
                        plugin=table.plugin,
                        state=source.state(now),
                        age_s=None if last is None else round(now - last.ended, 1),
                        took_s=None if last is None else round(last.ended - last.began, 3),
                        problem=source.problem(now) or source.error,
                    )
                )
        return found


def _tended(table: BatchTable) -> bool:
    from core.settings.registry import plugin_class

    return bool(plugin_class("batch", table.plugin).tended)


def _alive(source: BatchSource, since: float) -> bool:
    last = source.source.last
    if last is None or last.began < since:
        return not math.isinf(since)
    return any(c.pending + c.running for c in last.answer.counts)
