"""A few lines to choose one from; the cursor stays on its key when lines come and go."""

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from apftui.console.widgets.paint import Line, Painted


class PickList(ScrollView, Painted, can_focus=True, inherit_bindings=False):
    """Lines by their keys, in order."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Painted.COMPONENT_CLASSES
    ALLOW_SELECT = False

    class Opened(Message):
        """The operator wants to see what is under the cursor."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._lines: Mapping[str, Line] = {}
        self.cursor: str | None = None

    def show(self, lines: Mapping[str, Line]) -> None:
        """Show `lines`."""
        keys, place = list(lines), self._place
        self._lines = lines
        if self.cursor not in lines:
            self.cursor = keys[min(place, len(keys) - 1)] if keys else None
        self.virtual_size = Size(self.size.width, len(lines))
        self.refresh()

    def go_to(self, key: str) -> None:
        """Put the cursor on a key, if it is there."""
        if key in self._lines:
            self.cursor = key
            self.move(0)

    def move(self, by: int) -> None:
        """Move the cursor by lines."""
        keys = list(self._lines)
        if not keys:
            return
        place = max(0, min(self._place + by, len(keys) - 1))
        self.cursor = keys[place]
        top, height = round(self.scroll_y), max(1, self.size.height)
        wanted = min(max(top, place - height + 1), place)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)
        self.refresh()

    @property
    def _place(self) -> int:
        keys = list(self._lines)
        return keys.index(self.cursor) if self.cursor in keys else 0

    def on_click(self, event: events.Click) -> None:
        keys, row = list(self._lines), event.y + round(self.scroll_y)
        if row < len(keys):
            self.go_to(keys[row])
            if event.chain > 1:
                self.post_message(self.Opened())

    def render_line(self, y: int) -> Strip:
        row, width = y + round(self.scroll_y), self.size.width
        keys = list(self._lines)
        if row >= len(keys):
            return self.paint([], width)
        here = keys[row] == self.cursor
        mark = ("▌", "key") if here else (" ", "")
        return self.paint([mark, *self._lines[keys[row]]], width, "cursor" if here else "")
