"""Pages that are only read: the factory with its alarms, and the help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from apftui.console import commands
from apftui.console.screens.base import ConsoleScreen
from apftui.console.store import Change
from apftui.console.widgets.paint import Line

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp


class TextScreen(ConsoleScreen):
    """Shows what `lines(width)` returns, anew every second and after every change."""

    BINDINGS = commands.bindings("page")

    def __init__(self, console: ConsoleApp, lines: Callable[[int], Sequence[Line]]) -> None:
        super().__init__(console)
        self._lines = lines

    def body(self) -> Sequence[Widget]:
        return [self.page]

    def on_mount(self) -> None:
        super().on_mount()
        self._show()

    def on_resize(self) -> None:
        self._show()

    def changed(self, change: Change) -> None:
        self._show()

    def tick(self) -> None:
        super().tick()
        self._show()

    def _show(self) -> None:
        if self.is_mounted:
            self.page.show(self._lines(self.page.size.width))
