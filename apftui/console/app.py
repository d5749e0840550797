"""The console as an application."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import click
from pydantic import RootModel
from textual import events, work
from textual.app import App
from textual.binding import Binding
from textual.widgets import Input

from apftui.console import changes, drafts, pages, theme
from apftui.console.commands import Command
from apftui.console.link import follow
from apftui.console.palette import Commands
from apftui.console.question import Answer, Question
from apftui.console.screens import help as help_screen
from apftui.console.screens.base import ConsoleScreen
from apftui.console.screens.confirm import Confirm, Notice
from apftui.console.screens.overview import Overview
from apftui.console.screens.parameters import ParameterScreen
from apftui.console.screens.queue import QueueScreen
from apftui.console.screens.text import TextScreen
from apftui.console.screens.workshop import Workshop
from apftui.console.screens.wrappers import WrappersScreen
from apftui.console.store import Change, Link, Store
from apftui.console.widgets.editor import Editor
from apftui.console.widgets.paint import Line
from core.api.client import Client
from core.api.models import Action, QueueStatus
from core.model.errors import ApftuiError, Stale

FOCUS = ("app.focus_next", "app.focus_previous")
MESSAGE_S = 10.0
"""How long the outcome of a command stays."""
LAST_WORDS_S = 3
"""So long a terminal may take to be put in order; if it is gone, the kernel ends the console."""
AGAIN_S = 2.0
"""Within this time a second ctrl+c quits."""


class ConsoleApp(App[None], inherit_bindings=False):
    """Shows the factory behind `socket`. Whoever ends it, the factory goes on.

    `ticks` are seconds of a clock that never goes back, `wall` is Unix time.
    """

    TITLE = "apftui"
    CSS_PATH = "console.tcss"
    COMMANDS = {Commands}
    BINDINGS = [
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True, id="app.interrupt"),
        Binding("colon", "command_palette", "Commands", show=False),
    ]

    def __init__(
        self,
        socket: Path,
        read_only: bool = False,
        ticks: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        plain = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if plain else None)
        self.register_theme(theme.CALM)
        self.theme = theme.PLAIN if plain else theme.CALM.name
        self.socket = socket
        self.ticks = ticks
        self.wall = wall
        self.store = Store()
        self.asked_read_only = read_only
        self._was_read_only = True
        self._interrupted_at = float("-inf")
        self._message_until = 0.0

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.DEFAULTS

    # Life

    async def on_event(self, event: events.Event) -> None:
        """Do at once what a key is bound to, before the next key is looked at.

        Textual sends a key through the widgets first. Over a slow line several come together:
        `/p` would open a filter and pause a queue, for `p` was on its way before the filter was.
        """
        if (
            isinstance(event, events.Key | events.Paste)
            and isinstance(self.focused, Editor)
            and not event.is_forwarded
            and self.focused.take(event)
        ):
            return
        if isinstance(event, events.Key) and not event.is_forwarded:
            active = self.screen.active_bindings.get(event.key)
            if active is not None and active.enabled and self._at_once(active.binding.action):
                await self.run_action(active.binding.action, active.node)
                return
        await super().on_event(event)

    def _at_once(self, action: str) -> bool:
        """An entry has letters on their way to it: what they are for comes after them.

        But the letters after a tab are for the next one.
        """
        return not isinstance(self.focused, Input) or action in FOCUS

    def on_mount(self) -> None:
        self.overview = Overview(self)
        self.push_screen(self.overview)
        self.store.subscribe(self._changed)
        self.set_interval(1.0, self._tick)
        self._follow()

    @work(group="link")
    async def _follow(self) -> None:
        await follow(self.socket, self.store, self.ticks)

    def _tick(self) -> None:
        if self.ticks() > self._message_until:
            self.say("")
        self._changed(Change(frozenset()))
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.tick()

    def _changed(self, change: Change) -> None:
        if self.read_only != self._was_read_only:
            self._was_read_only = self.read_only
            self.say("")
            for screen in self.screen_stack:
                screen.refresh_bindings()

    def client(self) -> Client:
        """Return a client for one or a few questions."""
        return Client(self.socket)

    # Read-only mode

    @property
    def read_only(self) -> bool:
        """Nothing may be changed: asked for, or nobody can say what a change would meet."""
        return bool(self.why_read_only)

    @property
    def why_read_only(self) -> str:
        """Why nothing may be changed; empty if it may."""
        if self.asked_read_only:
            return "started with --read-only"
        if self.store.link is not Link.LIVE:
            return self.store.problem or "the factory has not answered yet"
        return self.store.foreign_protocol

    # Commands

    async def ask(self, command: Command, queues: Sequence[QueueStatus]) -> None:
        """Ask whether `command` is to be done, and do it."""
        if command.needs == "queue" and not queues:
            self.say("no queue under the cursor", "warn")
            return
        await self.confirm(changes.question(command, queues), self.overview.unmark)

    async def confirm(self, question: Question, done: Callable[[], None] = lambda: None) -> None:
        """Ask; if the answer is yes, do it, and then call `done`."""

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                self.carry_out(question, answer, done)

        await self.push_screen(Confirm(self, question), answered)

    @work(group="command")
    async def carry_out(self, question: Question, answer: Answer, done: Callable[[], None]) -> None:
        """Do it at the revisions that were seen, and say what it came to."""
        if self.read_only:
            self.say(f"nothing was changed: {self.why_read_only}", "bad")
            return
        try:
            async with self.client() as factory:
                self.say(await question.do(factory, answer), "good")
        except ApftuiError as error:
            self.refused(error)
        else:
            done()

    def refused(self, error: ApftuiError) -> None:
        """Say what a change ran into; what differs now is to be read before going on."""
        first, *rest = str(error).splitlines() or [""]
        self.say(first, "bad")
        if isinstance(error, Stale):
            self.push_screen(Notice(f"Nothing was changed: {error}", error.diff))
        elif rest:
            self.push_screen(Notice(first, rest))

    @work(group="command")
    async def undo(self) -> None:
        """Ask whether your own last change is to be undone."""
        you = self.store.hello.you if self.store.hello else ""
        try:
            async with self.client() as factory:
                found = await factory.get("/v1/actions", RootModel[tuple[Action, ...]], limit=200)
                action = changes.last_own(found.root, you)
                if action is None:
                    self.say("you have changed nothing that could be undone", "warn")
                    return
                question = await changes.undo(factory, action)
        except ApftuiError as error:
            self.refused(error)
        else:
            await self.confirm(question)

    def say(self, text: str, style: str = "") -> None:
        """Show `text` in the message line for a while."""
        message: Line | None = [(text, style)] if text else None
        self._message_until = self.ticks() + MESSAGE_S
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.say(message)

    def action_interrupt(self) -> None:
        now = self.ticks()
        if now - self._interrupted_at < AGAIN_S:
            self.exit(return_code=0)
        self._interrupted_at = now
        self.say("ctrl+c once more leaves the console; the factory goes on", "warn")

    # Screens. All are waited for, so that the next key, typed ahead, is theirs.

    async def show_queue(self, name: str) -> None:
        """Open a queue."""
        await self.push_screen(QueueScreen(self, name))

    async def show_parameters(self, names: Sequence[str]) -> None:
        """Open the parameters of queues."""
        if names:
            await self.push_screen(ParameterScreen(self, names))
        else:
            self.say("no queue under the cursor", "warn")

    async def show_overview(self) -> None:
        """Go back to the overview."""
        while isinstance(self.screen, ConsoleScreen) and self.screen is not self.overview:
            await self.screen.dismiss()

    async def show_help(self) -> None:
        """Open the help of the screen in front."""
        active = self.screen.active_bindings
        await self.push_screen(TextScreen(self, help_screen.lines(active, self.get_key_display)))

    async def show_factory(self) -> None:
        """Open the page of alarms and sources."""

        def lines(width: int) -> Sequence[Line]:
            store = self.store
            if store.factory is None or store.answered_at is None:
                return pages.wrapped([(" ", "")], store.problem or "no answer yet", width)
            elapsed = self.ticks() - store.answered_at
            return pages.factory(store.factory, store.alarms(), width, elapsed)

        await self.push_screen(TextScreen(self, lines))

    async def show_wrappers(self) -> None:
        """Open the list of wrappers."""
        await self.push_screen(WrappersScreen(self))

    async def show_wrapper(self, name: str, queue: str = "") -> None:
        """Open a wrapper; what is shown as a queue would get it, is shown for `queue`."""
        await self.push_screen(Workshop(self, name, queue))

    async def show_lines(self, lines: Sequence[Line]) -> None:
        """Open a page that says `lines`."""
        await self.push_screen(TextScreen(self, lambda width: lines))

    @property
    def drafts(self) -> Path:
        """Where the drafts for this factory are kept."""
        name = self.store.hello.name if self.store.hello else "unknown"
        return drafts.folder(name, os.environ)

    def place_of(self, name: str) -> tuple[int, int]:
        """Return a queue's place in the overview and of how many; place -1 if filtered out."""
        table = self.overview.table
        return table.place_of(name), table.height

    def neighbour(self, name: str, by: int) -> str | None:
        """Move the overview's cursor from `name` by rows; return where it is then."""
        table = self.overview.table
        table.go_to(name)
        table.move(by)
        return table.cursor


def run_console(socket: Path, read_only: bool = False, *, goes_on: bool = True) -> int:
    """Run the console until the operator leaves it; return the exit code.

    `goes_on` says that the factory outlives it, which is then said too.
    """
    app = ConsoleApp(socket, read_only)
    asyncio.run(_run(app))
    code = app.return_code or 0
    if goes_on and code == 0 and app.store.hello is not None:
        if app.store.link is Link.LIVE:
            pid = app.store.hello.pid
            click.echo(f"the factory goes on: pid {pid}; `apftui` attaches again")
        else:
            click.echo(f"the factory did not answer any more: {app.store.problem}", err=True)
    return code


async def _run(app: ConsoleApp) -> None:
    """Run the app; a signal ends it with the terminal as it was, not with it in its hands."""
    loop = asyncio.get_running_loop()

    # A plain handler also runs while the event loop waits for a terminal that takes nothing more.
    def end(number: int, frame: FrameType | None) -> None:
        signal.alarm(LAST_WORDS_S)
        loop.call_soon_threadsafe(partial(app.exit, return_code=128 + number))

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        await app.run_async()
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
