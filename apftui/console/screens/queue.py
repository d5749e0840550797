"""Everything about one queue: the decision step by step, and all it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import work
from textual.strip import Strip
from textual.widget import Widget

from apftui.console import commands, format, pages
from apftui.console.commands import Command
from apftui.console.screens.base import ConsoleScreen
from apftui.console.store import Change
from apftui.console.widgets.paint import Item, Painted, spread
from core.api.models import QueueDetail, QueueStatus
from core.model.errors import ApftuiError

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp


class QueueTitle(Painted, Widget):
    """Name and state of the queue, and its place in the overview."""

    title: tuple[str, QueueStatus | None, str] = ("", None, "")

    def show(self, name: str, queue: QueueStatus | None, place: str) -> None:
        """Take what is to be shown."""
        if (name, queue, place) != self.title:
            self.title = (name, queue, place)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        name, queue, place = self.title
        width = self.size.width
        items = [Item(0, [(name, "strong")])]
        if queue is not None:
            word = format.STATES[queue.state]
            items.append(Item(1, [(f"{word.glyph} {word.word}", word.style)]))
        return self.paint(spread(items, [Item(2, [(place, "soft")])], width), width)


class QueueScreen(ConsoleScreen):
    """One queue; asks the factory again whenever the store has news of it."""

    BINDINGS = commands.bindings("queue")

    def __init__(self, console: ConsoleApp, name: str) -> None:
        super().__init__(console)
        self.queue = name
        self._detail: QueueDetail | None = None
        self._told_at = 0.0
        self._problem = ""
        self.title_line = QueueTitle(classes="body")

    def body(self) -> Sequence[Widget]:
        return [self.title_line, self.alarms(), self.page, self.why]

    def on_mount(self) -> None:
        super().on_mount()
        self.ask()
        self._show()

    def on_resize(self) -> None:
        self._show()

    def changed(self, change: Change) -> None:
        if change.queues is None or self.queue in change.queues:
            self.ask()

    def tick(self) -> None:
        super().tick()
        self._show()

    def chosen(self, command: Command) -> Sequence[QueueStatus]:
        seen = self.store.queues.get(self.queue)
        return [seen.queue] if seen else []

    @work(exclusive=True, group="detail")
    async def ask(self) -> None:
        """Read the queue's detail; what is there stays until the answer has come."""
        name = self.queue
        try:
            async with self.console.client() as factory:
                detail = await factory.get("/v1/queue", QueueDetail, name=name)
        except ApftuiError as error:
            self._problem = str(error)
        else:
            self._detail, self._told_at, self._problem = detail, self.console.ticks(), ""
        if self.is_mounted:
            self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        width = self.page.size.width
        detail = self._detail if self._detail and self._detail.status.name == self.queue else None
        lines = []
        if self._problem:
            lines += pages.wrapped([(" ! ", "bad")], self._problem, width)
        if detail is not None:
            lines += pages.queue(detail, width, self.console.ticks() - self._told_at)
        self.page.show(lines)
        seen = self.store.queues.get(self.queue)
        place, of = self.console.place_of(self.queue)
        at = f"{place + 1} of {of}" if place >= 0 else ""
        self.title_line.show(self.queue, seen.queue if seen else None, at)

    def _turn(self, by: int) -> None:
        name = self.console.neighbour(self.queue, by)
        if name is not None and name != self.queue:
            self.queue, self._problem = name, ""
            self.action_top()
            self._show()
            self.ask()

    def action_previous_queue(self) -> None:
        self._turn(-1)

    def action_next_queue(self) -> None:
        self._turn(1)
