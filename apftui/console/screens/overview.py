"""All queues at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from apftui.console import commands
from apftui.console.commands import Command
from apftui.console.screens.base import ConsoleScreen
from apftui.console.widgets.filter_box import FilterBox
from apftui.console.widgets.queue_table import QueueTable
from apftui.console.widgets.totals import Totals, View
from core.api.models import QueueStatus

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp


class Overview(ConsoleScreen):
    """Totals, the live table, and why the queue under the cursor does what it does."""

    BINDINGS = commands.bindings("overview")

    def __init__(self, console: ConsoleApp) -> None:
        super().__init__(console)
        self.table = QueueTable(self.store, console.ticks)
        self.totals = Totals()
        self.filter_box = FilterBox()

    def body(self) -> Sequence[Widget]:
        return [self.totals, self.alarms(), self.table, self.why, self.filter_box]

    @property
    def main(self) -> Widget:
        return self.table

    def tick(self) -> None:
        super().tick()
        self.table.tick()

    def chosen(self, command: Command) -> Sequence[QueueStatus]:
        if command.bulk and self.table.marked:
            marked = sorted(self.table.marked)
            return [self.store.queues[name].queue for name in marked if name in self.store.queues]
        return [self.table.current] if self.table.current else []

    def on_queue_table_shown(self) -> None:
        factory = self.store.factory
        self.totals.count(self.table.shown, factory.cycle if factory else None)
        self.on_queue_table_moved()

    def on_queue_table_moved(self) -> None:
        table = self.table
        self.why.show(table.current)
        view = View(
            row=table.place,
            shown=table.height,
            of=len(self.store.queues),
            filter=table.filter,
            marked=len(table.marked),
        )
        self.totals.show(view)

    def unmark(self) -> None:
        """What was marked is done."""
        self.table.mark(set())

    async def on_queue_table_opened(self) -> None:
        await self.action_open()

    # The filter

    def action_filter(self) -> None:
        self._before = self.table.cursor
        self.why.display = False
        self.filter_box.open(self.table.filter)

    def on_prompt_typed(self, message: FilterBox.Typed) -> None:
        self.table.set_filter(message.text)
        self.table.go_to(self._before)

    def on_prompt_closed(self, message: FilterBox.Closed) -> None:
        self.why.display = True
        self.table.focus()
        if message.cancelled:
            self.table.set_filter("")
            self.table.go_to(self._before)

    def action_clear(self) -> None:
        if self.table.filter:
            self.table.set_filter("")
        elif self.table.marked:
            self.table.mark(set())

    # The table

    async def action_open(self) -> None:
        if self.table.current:
            await self.console.show_queue(self.table.current.name)

    def action_sort(self) -> None:
        self.table.step_sort(1)

    def action_sort_left(self) -> None:
        self.table.step_sort(-1)

    def action_sort_right(self) -> None:
        self.table.step_sort(1)

    def action_reverse(self) -> None:
        self.table.set_sort(self.table.sort, not self.table.descending)

    def action_mark(self) -> None:
        if self.table.current:
            self.table.mark(self.table.marked ^ {self.table.current.name})
            self.table.move(1)

    def action_mark_all(self) -> None:
        self.table.mark(self.table.marked | {queue.name for queue in self.table.shown})

    def action_quit(self) -> None:
        self.app.exit(return_code=0)

    def scroll(self, by: int) -> None:
        self.table.move(by)

    @property
    def page_height(self) -> int:
        return self.table.page

    def action_top(self) -> None:
        self.table.go(0)

    def action_bottom(self) -> None:
        self.table.go(self.table.height - 1)
