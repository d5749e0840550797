"""What all full screens share: header, alarms, message line, key bar, and what keys may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from apftui.console.commands import BY_NAME, Command
from apftui.console.store import Change, Link
from apftui.console.widgets.alarms import Alarms
from apftui.console.widgets.header import Header
from apftui.console.widgets.key_bar import KeyBar
from apftui.console.widgets.page import Page
from apftui.console.widgets.paint import Line
from apftui.console.widgets.why import Why
from core.api.models import QueueStatus

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp


class ConsoleScreen(Screen[None]):
    """A full screen. Its keys come from the table of commands, its data from the store."""

    AUTO_FOCUS = ""
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-normal"), (40, "-tall")]

    def __init__(self, console: ConsoleApp) -> None:
        super().__init__()
        self.console = console
        self.store = console.store
        # Held, not looked up: the store may tell of news while the screen's parts go.
        self.header = Header(self.store, console.ticks, console.wall, lambda: console.read_only)
        self.page = Page()
        self.why = Why()

    def compose(self) -> ComposeResult:
        yield self.header
        yield from self.body()
        yield KeyBar()

    def body(self) -> Sequence[Widget]:
        """Return what stands between the header and the key bar."""
        raise NotImplementedError

    @property
    def main(self) -> Widget:
        """The part that takes the keys."""
        return self.page

    def alarms(self) -> Alarms:
        """Return the alarms' lines; a low screen spends only one on them."""
        return Alarms(
            self.store, lambda: 1 if self.size.height < 20 else 2 if self.size.height < 40 else 4
        )

    def on_mount(self) -> None:
        self._leave = self.store.subscribe(self._changed)
        self._age()
        self.set_focus(self.main)  # before the next key, typed ahead

    def on_unmount(self) -> None:
        self._leave()

    def _changed(self, change: Change) -> None:
        self._age()
        self.changed(change)

    def _age(self) -> None:
        stale = self.store.link is Link.STALE
        if stale is not self.has_class("-stale"):  # Textual styles everything anew for it
            self.set_class(stale, "-stale")

    def changed(self, change: Change) -> None:
        """The store holds something new."""

    def tick(self) -> None:
        """A second went by."""
        self.header.tick()

    def chosen(self, command: Command) -> Sequence[QueueStatus]:
        """Return the queues that `command` is about."""
        return ()

    def say(self, message: Line | None) -> None:
        """Show what a command came to."""
        self.why.say(message)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Grey what read-only mode forbids; a key without a queue to act on does nothing."""
        command = BY_NAME.get(action)
        if command is not None and command.dangerous and self.console.read_only:
            return None
        return True

    def on_key(self, event: events.Key) -> None:
        """Say why a greyed key does nothing."""
        active = self.active_bindings.get(event.key)
        if active is not None and not active.enabled:
            event.stop()
            self.console.say(f"read-only: {self.why_read_only}", "warn")

    @property
    def why_read_only(self) -> str:
        """Why a key is greyed."""
        return self.console.why_read_only

    # Commands that mean the same everywhere

    async def action_pause(self) -> None:
        await self.console.ask(BY_NAME["pause"], self.chosen(BY_NAME["pause"]))

    async def action_drain(self) -> None:
        await self.console.ask(BY_NAME["drain"], self.chosen(BY_NAME["drain"]))

    async def action_resume(self) -> None:
        await self.console.ask(BY_NAME["resume"], self.chosen(BY_NAME["resume"]))

    async def action_reload(self) -> None:
        await self.console.ask(BY_NAME["reload"], ())

    async def action_parameters(self) -> None:
        queues = self.chosen(BY_NAME["parameters"])
        await self.console.show_parameters([queue.name for queue in queues])

    def action_undo(self) -> None:
        self.console.undo()

    async def action_overview(self) -> None:
        await self.console.show_overview()

    async def action_wrappers(self) -> None:
        await self.console.show_wrappers()

    async def action_wrapper(self) -> None:
        for queue in self.chosen(BY_NAME["wrapper"]):
            if queue.wrapper:
                await self.console.show_wrapper(queue.wrapper, queue.name)
            else:
                self.console.say("it has left the settings and gets no new pilots", "soft")

    def action_command_palette(self) -> None:
        self.app.action_command_palette()

    async def action_help(self) -> None:
        await self.console.show_help()

    async def action_factory(self) -> None:
        await self.console.show_factory()

    async def action_back(self) -> None:
        self.dismiss()

    # Movement, for screens that are one page of text

    def scroll(self, by: int) -> None:
        """Move by lines; a screen with a cursor moves that."""
        self.page.move(by)

    @property
    def page_height(self) -> int:
        """Lines of a page."""
        return self.page.size.height

    def action_up(self) -> None:
        self.scroll(-1)

    def action_down(self) -> None:
        self.scroll(1)

    def action_top(self) -> None:
        self.scroll(-1_000_000)

    def action_bottom(self) -> None:
        self.scroll(1_000_000)

    def action_page_up(self) -> None:
        self.scroll(-self.page_height)

    def action_page_down(self) -> None:
        self.scroll(self.page_height)

    def action_half_up(self) -> None:
        self.scroll(-(self.page_height // 2))

    def action_half_down(self) -> None:
        self.scroll(self.page_height // 2)
