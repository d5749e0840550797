"""The factory: one life from opening the state folder to the last receipt."""

import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib.metadata import version
from typing import Any

import anyio

from core.decision.chain import Stop
from core.model.errors import ApftuiError, NotFound, SettingsError, StateError
from core.model.submission import Intent, IntentState
from core.run.board import Board
from core.run.books import Books
from core.run.changes import Changes, Proposal, Wanted
from core.run.drafts import Draft
from core.run.generation import Generation, render_wrappers
from core.run.opening import State
from core.run.outstanding import REMEMBERED_S, Outstanding
from core.run.passes import Passes
from core.run.preview import Previews
from core.run.publishing import prepare
from core.run.rows import rows
from core.run.services import Services
from core.run.stops import operators_stop
from core.run.views import FactoryStatus, Preview
from core.run.writer import Writer
from core.settings import published
from core.settings.load import Layers, read_layers, resolve
from core.settings.overrides import Overrides
from core.settings.schema import QueueSettings, Settings
from core.settings.suggest import did_you_mean
from core.state import clock

log = logging.getLogger("apftui.factory")

_VERSION = version("apftui")

_NEWS_S = 0.2
"""Between two looks of the board at what sources and submitters have brought."""

_EXPIRY_S = 1.0
"""Between two looks at what expires: an override ends when it says, not at the next pass."""


class Factory:
    """A running factory. The API reads it, and changes it through its public methods."""

    def __init__(self, layers: Layers, state: State, started_by: str) -> None:
        self.boot = uuid.uuid4().hex
        self.board = Board()
        self.state = state
        self._started_by = started_by
        self._layers = layers
        self._folder = layers.base.factory.state
        self._writer = Writer()
        self._alarms: dict[str, str] = {}
        if state.ledger.alarm:
            self._alarms["state"] = state.ledger.alarm
        self._changes = Changes(self._folder, state.ledger, self._writer)
        self._changes.reconcile(state.reader, published.actions(published.folder(self._folder)))
        self._outstanding = Outstanding(state.reader.recent(clock.wall() - REMEMBERED_S))
        settings = resolve(layers, self._changes.overrides)
        self._news = anyio.Event()
        self._services = Services(settings, state, self._outstanding, self._writer, self._hear)
        self._passes = Passes(
            state, self._outstanding, self._writer, self._alarms, settings, self._stopped
        )
        self._previews = Previews(self._passes)
        # A pass, a reload and a change each see settings that stand still.
        self._still = anyio.Lock()
        self._reloading = anyio.Lock()
        self._publishing = anyio.Lock()
        self._next_pass: float | None = None
        self._stop = anyio.Event()
        self._remove_pilots = False
        self._remove_by = "factory"

    @property
    def generation(self) -> Generation:
        """The settings that run, and what runs for them."""
        return self._services.generation

    @property
    def base(self) -> Settings:
        """The settings without overrides."""
        return self._layers.base

    @property
    def overrides(self) -> Overrides:
        """What operators put over them."""
        return self._changes.overrides

    # -- life --------------------------------------------------------------------------------

    async def run(
        self,
        serve: Callable[["Factory"], AbstractAsyncContextManager[None]],
        cycles: int | None = None,
        *,
        remove_pilots: bool = False,
    ) -> None:
        """Run until stopped, or for so many passes; then finish what is in flight.

        `serve` is the control API: it ends while the state folder is still this factory's, or it
        would take the socket of the next one away. `remove_pilots`: they end with the factory.
        """
        self._remove_pilots = remove_pilots
        try:
            async with anyio.create_task_group() as tasks:
                self._services.start(tasks)
                await self._set_aside_orphans(self.generation.settings)
                self._refresh()  # whoever asks first sees all queues
                tasks.start_soon(self._show_news)
                async with serve(self):
                    await self._unless_stopped(self._services.first_answers)
                    await self._run_passes(cycles)
                    await self._services.finish()
                    if self._remove_pilots:
                        await self._changes.remove_pilots(
                            self._services.remove_pilots, by=self._remove_by
                        )
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._passes.close()
                await self._previews.close()
                self.state.reader.close()
                self.state.ledger.close()
                self.state.lock.release()

    def stop(self, *, remove_pilots: bool = False, by: str = "") -> None:
        """End the factory after what is in flight. Pilots are left alone unless told, `by` whom."""
        if remove_pilots:
            self._remove_pilots, self._remove_by = True, by
        self._stop.set()
        self.board.tell()

    async def _unless_stopped(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something, but no longer than until the factory is told to stop."""

        async def give_up() -> None:
            await self._stop.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up)
            await wait()
            tasks.cancel_scope.cancel()

    async def _run_passes(self, cycles: int | None) -> None:
        done = 0
        while not self._stop.is_set():
            started = clock.boottime()
            async with self._still:
                await self._expire()
                await self._passes.run(self.generation)
            self._refresh()
            done += 1
            if done == cycles:
                await self._unless_stopped(self._services.tended_pilots_end)
                return
            self._next_pass = started + self.generation.settings.factory.cycle
            self.board.tell()
            await self._wait_until(max(clock.boottime() + 0.05, self._next_pass))

    async def _wait_until(self, end: float) -> None:
        """Wait for the next pass (boottime), or for the stop."""
        while not self._stop.is_set() and (left := end - clock.boottime()) > 0:
            failed = "expiry" in self._alarms  # what cannot be written is tried again by the pass
            with anyio.move_on_after(left if failed else min(left, _EXPIRY_S)):
                await self._stop.wait()
            if not failed and clock.boottime() < end:
                async with self._still:
                    await self._expire()

    # -- changes -----------------------------------------------------------------------------

    async def reload(self) -> tuple[list[str], list[str], list[str]]:
        """Read the settings anew; return (added, changed, removed) queues.

        Raise SettingsError if anything is wrong with them: then the running ones stay.
        """
        path = self._layers.base.path
        async with self._reloading:
            try:
                # Passes go on meanwhile: a config plug-in may take its time.
                layers = await anyio.to_thread.run_sync(read_layers, path, abandon_on_cancel=True)
                async with self._still:
                    before = self.generation.settings
                    _check_identity(before.factory, layers.base.factory)
                    self._check_batches(layers.base)
                    settings = await anyio.to_thread.run_sync(
                        resolve, layers, self._changes.overrides
                    )
                    wrappers = await anyio.to_thread.run_sync(render_wrappers, settings)
                    self._changes.remember(before)
                    self._services.adopt(settings, wrappers)
                    self._layers = layers
                    self._passes.forget(set(settings.queues))
                    await self._set_aside_orphans(settings)
            except ApftuiError as error:
                self._alarms["settings"] = f"the last reload was refused: {error}"
                self._refresh()
                raise
            self._alarms.pop("settings", None)
        self._refresh()
        log.info("settings reloaded from %s", path)
        old, new = before.queues, settings.queues
        changed = [n for n in new if n in old and new[n] != old[n]]
        return sorted(new.keys() - old.keys()), changed, sorted(old.keys() - new.keys())

    def _check_batches(self, after: Settings) -> None:
        """Refuse to lose sight of pilots: without its batch system nobody counts them."""
        for name, batch in self.generation.sources.batch.items():
            pilots = sum(c.pending + c.held + c.running for c in batch.counts().values())
            if pilots and name not in after.batch:
                raise SettingsError(
                    f"[batch.{name}] is gone from the settings and still has {pilots} pilots",
                    "take only its queues away, and the table when their pilots have ended",
                )

    async def change(
        self, wanted: Sequence[Wanted], *, by: str, why: str, until: float | None
    ) -> dict[str, Any]:
        """Make an operator's change, seen by everybody at once. Return the action."""
        async with self._still:
            return await self._apply(await self._propose(wanted, by=by, why=why, until=until))

    async def undo(self, action: str, *, by: str, why: str) -> dict[str, Any]:
        """Put back what stood before an action. Return the new action."""
        async with self._still:
            return await self._apply(await self._propose_undo(action, by=by, why=why))

    async def preview(
        self, wanted: Sequence[Wanted], *, by: str, why: str, until: float | None
    ) -> Preview:
        """Return what a change would do. Raise what the change itself would raise."""
        running = self.generation
        proposal = await self._propose(wanted, by=by, why=why, until=until)
        return await self._previews.preview(running, proposal, self._stopped)

    async def preview_undo(self, action: str, *, by: str, why: str) -> Preview:
        """Return what an undo would do. Raise what the undo itself would raise."""
        running = self.generation
        proposal = await self._propose_undo(action, by=by, why=why)
        return await self._previews.preview(running, proposal, self._stopped)

    async def _propose(
        self, wanted: Sequence[Wanted], *, by: str, why: str, until: float | None
    ) -> Proposal:
        settings = self.generation.settings
        for one in wanted:
            if one.queue not in settings.queues:
                cure = did_you_mean(one.queue, settings.queues, "queues")
                raise NotFound(f"there is no queue {one.queue}", cure)
        propose = partial(self._changes.propose, by=by, why=why, until=until)
        # A thousand queues resolved anew would hold up everybody.
        return await anyio.to_thread.run_sync(propose, self._layers, settings, wanted)

    async def _propose_undo(self, action: str, *, by: str, why: str) -> Proposal:
        propose = partial(self._changes.propose_undo, by=by, why=why)
        return await anyio.to_thread.run_sync(propose, self._layers, self.state.reader, action)

    async def publish(self, draft: Draft, *, base: str, message: str, by: str) -> dict[str, Any]:
        """Make a draft the version of its wrapper that counts. Return the action.

        New pilots of the queues that use it get it; those that are there keep theirs. Raise Stale
        if another version than `base` counts, SettingsError with all that is wrong with it.
        """
        async with self._publishing:
            while True:
                settings = self.generation.settings
                ready = await prepare(settings, draft, base=base, message=message, by=by)
                async with self._still:
                    # Trying it out takes its time: passes, changes and reloads go on meanwhile.
                    if self.generation.settings is settings:
                        done = await self._changes.put(ready.action, ready.write)
                        rendered = {**self.generation.wrappers, **ready.rendered}
                        self._services.adopt(settings, rendered)
                        self._refresh()
                        return done

    async def resolve(self, submission: str, state: IntentState, *, by: str, why: str) -> Intent:
        """Take an operator's word on an intent whose batch system never answers again."""
        found = (i for i in self._outstanding.unresolved() if i.submission == submission)
        intent = next(found, None)
        if intent is None:
            raise NotFound(f"{submission} is no unresolved intent", "see `apftui intent list`")
        if submission in self._services.sending():
            raise SettingsError(f"{submission} is just being sent", "wait for its receipt")
        detail = f"{state} by the word of {by}: {why}"
        books = Books(self.state, self._writer, self._outstanding, self._refresh)
        if not await books.resolve(intent, state, detail):
            raise StateError(books.alarms["ledger"], "try again when it can be written")
        log.warning("submission %s is %s", submission, detail)
        return intent.model_copy(update={"state": state, "detail": detail})

    async def _set_aside_orphans(self, settings: Settings) -> None:
        try:
            await self._changes.set_aside_orphans(settings)
        except StateError as error:
            self._alarms["orphans"] = f"overrides that do not fit are not set aside: {error}"
        else:
            self._alarms.pop("orphans", None)

    async def _expire(self) -> None:
        try:
            # A thousand pauses that end together would hold up everybody.
            proposal = await anyio.to_thread.run_sync(self._changes.propose_expiry, self._layers)
            if proposal is not None:
                await self._apply(proposal)
        except ApftuiError as error:
            self._alarms["expiry"] = f"an override could not be ended: {error}"
        else:
            self._alarms.pop("expiry", None)

    async def _apply(self, proposal: Proposal) -> dict[str, Any]:
        # A change that breaks a wrapper is refused before it is written.
        wrappers = await anyio.to_thread.run_sync(
            render_wrappers, proposal.settings, self.generation
        )
        done = await self._changes.apply(proposal)
        self._changes.remember(self.generation.settings)
        self._services.adopt(proposal.settings, wrappers)
        self._refresh()
        return done

    # -- what is shown -----------------------------------------------------------------------

    def _hear(self) -> None:
        self._news.set()

    async def _show_news(self) -> None:
        """Bring the board up to date, once for all that happens in a short time.

        A pass over a thousand queues has a thousand outcomes.
        """
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            self._refresh()
            await anyio.sleep(_NEWS_S)

    def _refresh(self) -> None:
        """Bring the board up to date."""
        now = clock.boottime()
        generation = self.generation
        generation.sources.remember(generation.settings, now)
        self.board.show(rows(generation, self._passes.last, self._outstanding, self._stopped, now))
        self.board.tell()

    def _stopped(self, queue: QueueSettings) -> Stop | None:
        return operators_stop(queue, self._changes.overrides)

    def status(self) -> FactoryStatus:
        """Return what there is to say about the factory itself."""
        now = clock.boottime()
        settings = self.generation.settings
        last_pass = self._passes.last_pass
        return FactoryStatus(
            name=settings.factory.name,
            version=_VERSION,
            boot=self.boot,
            pid=os.getpid(),
            started_by=self._started_by,
            config=str(settings.path),
            state_folder=str(self._folder),
            cycle_s=settings.factory.cycle,
            cycle=self._passes.cycle,
            next_pass_s=None if self._next_pass is None else max(0.0, self._next_pass - now),
            last_pass_age_s=None if last_pass is None else now - last_pass,
            alarms=(*self._alarms.values(), *self._services.alarms()),
            sources=tuple(self._services.sources(now)),
            orphans=settings.orphans,
            unresolved=self._services.unresolved(),
            stopping=self._stop.is_set(),
        )


def _check_identity(before: Any, after: Any) -> None:
    """Refuse what a running factory cannot change: where its state and who it is."""
    for key in ("name", "state", "socket_group"):
        if getattr(before, key) != getattr(after, key):
            raise StateError(
                f"[factory] {key} has changed, which a reload cannot do",
                "stop the factory and start it again",
            )
