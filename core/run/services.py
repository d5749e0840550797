"""The sources and submitters of the running settings: started, kept over reloads, and ended."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup

from core.model.answers import WmsQuery
from core.model.errors import ApftuiError
from core.model.submission import IntentState
from core.run.books import Books
from core.run.facts import BatchSource, Sources, WmsSource
from core.run.generation import (
    Generation,
    SubmitterKey,
    batch_source,
    outcome_source,
    render_wrappers,
    submit_worker,
    submitter_keys,
    wms_source,
)
from core.run.lookup import Lookup
from core.run.opening import State
from core.run.outcomes import OutcomeSource
from core.run.outstanding import Outstanding
from core.run.submission import Submitter
from core.run.views import SourceStatus
from core.run.writer import Writer
from core.settings.registry import plugin_class
from core.settings.schema import BatchTable, Settings, WmsTable
from core.settings.wrappers import Rendered
from core.state import clock

_TENDED_S = 60.0


class Services:
    """Runs one task for each source and submitter."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        outstanding: Outstanding,
        writer: Writer,
        news: Callable[[], None],
    ) -> None:
        """`news` hears whenever a source has answered or a submission has ended."""
        self.generation = Generation(settings, Sources({}, {}, {}), {}, render_wrappers(settings))
        self._state = state
        self._outstanding = outstanding
        self._writer = writer
        self._news = news
        self._tasks: TaskGroup | None = None
        self._polling: dict[int, anyio.CancelScope] = {}
        self._ended: dict[SubmitterKey, anyio.Event] = {}
        """Set once the newest submitter of a key can commit nothing more."""

    # -- life --------------------------------------------------------------------------------

    def start(self, tasks: TaskGroup) -> None:
        """Start what the settings name."""
        self._tasks = tasks
        self.adopt(self.generation.settings, self.generation.wrappers)

    def adopt(self, settings: Settings, wrappers: Mapping[str, Rendered]) -> None:
        """Run with these settings from now on; what is the same in both goes on as it is."""
        old = self.generation
        batch = {n: self._batch(t, settings) for n, t in settings.batch.items()}
        counted = [b.source.polled for b in batch.values()]
        wms = {n: self._wms(t, counted) for n, t in settings.wms.items()}
        told = {n: self._outcomes(t, settings) for n, t in settings.batch.items()}
        outcomes = {n: source for n, source in told.items() if source is not None}
        submitters = {key: self._submitter(key, settings) for key in self._keys(settings)}
        sources = Sources(wms, batch, outcomes)
        self.generation = Generation(settings, sources, submitters, wrappers)
        for key, submitter in old.submitters.items():
            if submitters.get(key) is not submitter:
                submitter.stop()
        for name, source in wms.items():
            if _queries(settings, name) - _queries(old.settings, name):
                source.source.poll_soon()  # a new queue need not wait for the period to end
        kept = {id(source) for source in (*self._sources(), *outcomes.values())}
        for gone in self._polling.keys() - kept:
            self._polling.pop(gone).cancel()

    async def finish(self) -> None:
        """Let submissions in flight end: a receipt nobody waits for is a question tomorrow."""
        for submitter in self.generation.submitters.values():
            submitter.stop()
        for ended in self._ended.values():
            await ended.wait()

    async def remove_pilots(self) -> list[str]:
        """Remove all pilots, after `finish`; return what kept some of them where they are."""
        left = []
        for submitter in self.generation.submitters.values():
            try:
                await submitter.remove_all()
            except (ApftuiError, ValueError) as error:
                left.append(f"batch {submitter.batch.name}: {error}")
        return left

    # -- waiting -----------------------------------------------------------------------------

    async def first_answers(self) -> None:
        """Give every source the time for one poll, so that the first pass is not blind."""
        longest = max((s.source.timing.deadline for s in self._sources()), default=0.0)
        with anyio.move_on_after(longest):
            for source in self._sources():
                await source.source.polled.wait()
            for submitter in self.generation.submitters.values():
                await submitter.swept.wait()

    async def tended_pilots_end(self) -> None:
        """Wait up to 60 s for the pilots that only ever start while a factory runs."""
        tables = self.generation.settings.batch
        tended = {n for n, t in tables.items() if plugin_class("batch", t.plugin).tended}
        with anyio.move_on_after(_TENDED_S):
            while self._sending(tended):
                await anyio.sleep(0.1)
            sent = clock.boottime()
            sources = [self.generation.sources.batch[n] for n in tended]
            while any(_alive(s, sent) for s in sources):
                for source in sources:
                    source.source.poll_soon()
                await anyio.sleep(0.5)

    def _sending(self, batches: set[str]) -> bool:
        open_intents = any(i.batch in batches for i in self._outstanding.unresolved())
        return open_intents or any(s.busy for s in self.generation.submitters.values())

    # -- what is to be told ------------------------------------------------------------------

    def alarms(self) -> list[str]:
        """Return what operators must know of submissions."""
        told = [a for s in self.generation.submitters.values() for a in s.books.alarms.values()]
        told += [
            f"{i.queue}: {i.detail}"
            for i in self._outstanding.unresolved()
            if i.state is IntentState.CONFLICT
        ]
        named = self.generation.settings.batch.keys()
        lost = {i.batch for i in self._outstanding.unresolved()} - named
        told += [
            f"unresolved submissions to batch {name}, which is not in the settings any more:"
            " see `apftui intent list`"
            for name in sorted(lost)
        ]
        return list(dict.fromkeys(told))

    def unresolved(self) -> int:
        """Return how many intents have an outcome that nobody knows; not those just being sent."""
        sending = self.sending()
        return sum(i.submission not in sending for i in self._outstanding.unresolved())

    def sending(self) -> set[str]:
        """Return the submissions that are on their way just now."""
        return set[str]().union(*(s.sending for s in self.generation.submitters.values()))

    def sources(self, now: float) -> list[SourceStatus]:
        """Return the state of every source."""
        settings, sources = self.generation.settings, self.generation.sources
        return [
            *(_status("wms", settings.wms[n], s, now) for n, s in sources.wms.items()),
            *(_status("batch", settings.batch[n], s, now) for n, s in sources.batch.items()),
            *(
                _status("outcomes", settings.batch[n], s, now, note=_note(s))
                for n, s in sources.outcomes.items()
            ),
        ]

    # -- one of each -------------------------------------------------------------------------

    def _sources(self) -> list[WmsSource | BatchSource]:
        """Return the sources that decisions are made from."""
        sources = self.generation.sources
        return [*sources.wms.values(), *sources.batch.values()]

    def _batch(self, table: BatchTable, settings: Settings) -> BatchSource:
        old = self.generation
        if table.name in old.sources.batch and old.settings.batch[table.name] == table:
            return old.sources.batch[table.name]
        source = batch_source(table, settings.factory.name, self._state.instance)

        def answered() -> None:
            for (batch, _), submitter in self.generation.submitters.items():
                if batch == table.name:
                    submitter.wake()
            self._news()

        self._begin_to_poll(source, [], answered)
        return source

    def _outcomes(self, table: BatchTable, settings: Settings) -> OutcomeSource | None:
        old = self.generation
        if table.name in old.sources.outcomes and old.settings.batch[table.name] == table:
            return old.sources.outcomes[table.name]
        source = outcome_source(table, settings.factory.name, self._state.instance)
        if source is not None:
            self._begin_to_poll(source, [], self._news)
        return source

    def _wms(self, table: WmsTable, counted: Sequence[anyio.Event]) -> WmsSource:
        old = self.generation
        if table.name in old.sources.wms and old.settings.wms[table.name] == table:
            return old.sources.wms[table.name]
        source = wms_source(table, lambda: self.generation.settings)
        self._begin_to_poll(source, counted, self._news)
        return source

    def _begin_to_poll(
        self,
        source: WmsSource | BatchSource | OutcomeSource,
        first: Sequence[anyio.Event],
        answered: Callable[[], None],
    ) -> None:
        """Poll for ever. Demand is only of use once there is a pilot count as old as it."""
        scope = self._polling[id(source)] = anyio.CancelScope()

        async def poll() -> None:
            with scope:
                for polled in first:
                    await polled.wait()
                await source.source.run(answered)

        self._begin(poll)

    def _keys(self, settings: Settings) -> set[SubmitterKey]:
        """Return the submitters that queues want, or that still have an outcome to find."""
        unknown = {
            (i.batch, i.submit_plugin)
            for i in self._outstanding.unresolved()
            if i.state is IntentState.INTENT and i.batch in settings.batch
        }
        return submitter_keys(settings) | unknown

    def _submitter(self, key: SubmitterKey, settings: Settings) -> Submitter:
        table = settings.batch[key[0]]
        runs = self.generation.submitters.get(key)
        if runs is not None and runs.batch == table:
            return runs
        worker = submit_worker(table, key[1], settings.factory.state, self._state.epoch)
        books = Books(self._state, self._writer, self._outstanding, self._news)
        lookup = Lookup(table, key[1], worker, books, settings.factory.name)
        submitter = Submitter(
            table,
            key[1],
            worker,
            books,
            lookup,
            lambda: self._schedd(table.name),
            partial(self._wanted, key),
        )
        before, ended = self._ended.get(key), anyio.Event()
        self._ended[key] = ended
        self._begin(self._submit, submitter, before, ended)
        return submitter

    async def _submit(
        self, submitter: Submitter, before: anyio.Event | None, ended: anyio.Event
    ) -> None:
        """Run a submitter once the one before can commit nothing more, or its looks would lie."""
        try:
            if before is not None:
                await before.wait()
            await submitter.run()
        finally:
            ended.set()

    def _schedd(self, batch: str) -> str | None:
        source = self.generation.sources.batch.get(batch)
        polled = source.source.last if source else None
        return polled.answer.schedd if polled else None

    def _wanted(self, key: SubmitterKey, name: str) -> bool:
        """Tell whether a queue gets pilots there: it may have been stopped, or have left."""
        queue = self.generation.settings.queues.get(name)
        if queue is None or queue.paused or queue.drain:
            return False
        return (queue.batch, queue.submit_plugin) == key

    def _begin(self, task: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(task, *args)


def _queries(settings: Settings, wms: str) -> set[WmsQuery]:
    return {q.query for q in settings.queues.values() if q.wms == wms}


def _status(
    kind: Literal["wms", "batch", "outcomes"],
    table: WmsTable | BatchTable,
    polled: WmsSource | BatchSource | OutcomeSource,
    now: float,
    note: str = "",
) -> SourceStatus:
    source = polled.source
    last = source.last
    return SourceStatus(
        kind=kind,
        name=table.name,
        plugin=table.plugin,
        state=source.state(now),
        age_s=None if last is None else round(now - last.ended, 1),
        took_s=None if last is None else round(last.ended - last.began, 3),
        problem=source.problem(now) or source.error or note or None,
    )


def _note(outcomes: OutcomeSource) -> str:
    last = outcomes.source.last
    return last.answer.note if last else ""


def _alive(source: BatchSource, since: float) -> bool:
    """Tell whether pilots are waiting or running, as far as was counted since then."""
    last = source.source.last
    return (
        last is None or last.began < since or any(c.pending + c.running for c in last.answer.counts)
    )
