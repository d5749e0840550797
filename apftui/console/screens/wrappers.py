"""All wrappers: which version counts, who uses it, who published it and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import RootModel
from textual import work
from textual.strip import Strip
from textual.widget import Widget

from apftui.console import commands, drafts, wrapper_pages
from apftui.console.screens.base import ConsoleScreen
from apftui.console.store import Change
from apftui.console.widgets.paint import Painted
from apftui.console.widgets.pick_list import PickList
from core.api.wrappers import WrapperStatus
from core.model.errors import ApftuiError

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp

AGAIN_S = 5
"""An unused wrapper that somebody publishes changes no queue: the list is asked for anew."""


class ListHead(Painted, Widget):
    """Titles of the columns."""

    def render_line(self, y: int) -> Strip:
        return self.paint(wrapper_pages.wrappers_head(self.size.width), self.size.width)


class WrappersScreen(ConsoleScreen):
    """The list; Enter opens one."""

    BINDINGS = commands.bindings("wrappers")

    def __init__(self, console: ConsoleApp) -> None:
        super().__init__(console)
        self.list = PickList()
        self._every: Sequence[WrapperStatus] = ()
        self._drafts: set[str] = set()
        self._ticks = 0

    def body(self) -> Sequence[Widget]:
        return [self.alarms(), ListHead(), self.list, self.why]

    @property
    def main(self) -> Widget:
        return self.list

    def on_mount(self) -> None:
        super().on_mount()
        self.ask()

    def on_screen_resume(self) -> None:
        self.ask()

    def on_resize(self) -> None:
        self._show()

    def changed(self, change: Change) -> None:
        if change.queues is None or change.queues:
            self.ask()

    def tick(self) -> None:
        super().tick()
        self._ticks += 1
        if self._ticks % AGAIN_S == 0 and self.is_current:
            self.ask()

    @work(exclusive=True, group="list")
    async def ask(self) -> None:
        """Read the list; what is there stays until the answer has come."""
        try:
            self._drafts = await asyncio.to_thread(drafts.names, self.console.drafts)
            async with self.console.client() as factory:
                answer = await factory.get("/v1/wrappers", RootModel[tuple[WrapperStatus, ...]])
        except ApftuiError as error:
            self.console.say(str(error), "bad")
        else:
            self._every = answer.root
        self._show()

    def _show(self) -> None:
        if self.is_mounted:
            width, now = self.list.size.width, self.console.wall()
            self.list.show(wrapper_pages.wrappers(self._every, self._drafts, width, now))

    async def on_pick_list_opened(self) -> None:
        await self.action_workshop()

    async def action_workshop(self) -> None:
        if self.list.cursor is not None:
            await self.console.show_wrapper(self.list.cursor)

    def scroll(self, by: int) -> None:
        self.list.move(by)

    @property
    def page_height(self) -> int:
        return self.list.size.height
