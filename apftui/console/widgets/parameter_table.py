"""The table of parameters: one line a key; the cursor belongs to a key, not to a line."""

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from apftui.console import parameters
from apftui.console.parameters import MARGIN, MIXED, UNSET, New, Place, Row, Sheet
from apftui.console.widgets.paint import Painted, Span, fitted

HEAD = 1
"""Lines of column titles above the rows."""


class ParameterTable(ScrollView, Painted, can_focus=True, inherit_bindings=False):
    """Draws the sheet it is given, and what is wanted instead."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Painted.COMPONENT_CLASSES
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor is on another key."""

    class Opened(Message):
        """The operator wants to change the value under the cursor."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._sheet: Sheet | None = None
        self._new: New = {}
        self._moved: Mapping[str, str] = {}
        self._places: tuple[Place, ...] = ()
        self.cursor = ""
        """Its key."""
        self._ahead = 0
        """Rows to move by, typed before there were any."""

    def show(self, sheet: Sheet | None, new: New, moved: Mapping[str, str]) -> None:
        """Show a sheet; `moved` are keys that somebody else changed meanwhile."""
        before = self.place
        self._sheet, self._new, self._moved = sheet, new, moved
        rows = self._rows
        if rows and self.cursor not in {row.key for row in rows}:
            place = max(0, before) + self._ahead
            self.cursor, self._ahead = rows[max(0, min(place, len(rows) - 1))].key, 0
            self.post_message(self.Moved())
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        longest = max((len(row.key) for row in self._rows), default=0)
        self._places = parameters.layout(self.size.width, longest)
        size = Size(self.size.width, len(self._rows) + HEAD)
        if size != self.virtual_size:
            self.virtual_size = size
        self._show_cursor()
        self.refresh()

    @property
    def _rows(self) -> tuple[Row, ...]:
        return self._sheet.rows if self._sheet else ()

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._sheet.by_key.get(self.cursor) if self._sheet else None

    @property
    def place(self) -> int:
        """Number of the cursor's row, from 0; -1 if there is none."""
        return next((i for i, row in enumerate(self._rows) if row.key == self.cursor), -1)

    @property
    def page(self) -> int:
        """Rows on the screen."""
        return max(1, self.size.height - HEAD)

    def move(self, by: int) -> None:
        """Move the cursor by rows, at most to the first or the last one."""
        rows = self._rows
        if not rows:
            self._ahead = max(0, self._ahead + by)
        else:
            self.cursor = rows[max(0, min(self.place + by, len(rows) - 1))].key
            self._show_cursor()
            self.refresh()
            self.post_message(self.Moved())

    def _show_cursor(self) -> None:
        top, row = round(self.scroll_y), self.place
        if row < top:
            self._scroll(max(0, row))
        elif row >= top + self.page:
            self._scroll(row - self.page + 1)

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    # Drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._titles(width)
        row = y - HEAD + round(self.scroll_y)
        if row < len(self._rows):
            return self._line(self._rows[row], width)
        return Strip.blank(width, self.rich_style)

    def _titles(self, width: int) -> Strip:
        line: list[Span] = [(" " * MARGIN, "")]
        for column, _, cells in self._places:
            line += [(fitted(column.title, cells), "dim"), (" ", "")]
        return self.paint(line, width)

    def _line(self, row: Row, width: int) -> Strip:
        cursor = row.key == self.cursor
        mark = "*" if row.key in self._moved else " "
        line: list[Span] = [("▌" if cursor else " ", "key"), (mark, "warn")]
        for column, _, cells in self._places:
            told, ink = self._cell(row, column, cursor)
            line += [(fitted(told, cells), ink), (" ", "")]
        return self.paint(line, width, "cursor" if cursor else "")

    def _cell(self, row: Row, column: parameters.Column, cursor: bool) -> Span:
        match column:
            case parameters.KEY:
                return row.key, "strong" if cursor else ""
            case parameters.VALUE:
                told = parameters.text(row.value)
                if row.value == MIXED:
                    return MIXED, "calm"
                return told, "dim" if told == UNSET else "strong" if row.overrides else ""
            case parameters.NEW:
                return parameters.new_text(row, self._new), "key"
            case parameters.DEFAULT_COLUMN:
                return parameters.text(row.default), "dim"
            case parameters.LAYER:
                return row.layer, "warn" if row.overrides else "dim"
            case parameters.RANGE:
                return row.span, "dim"
            case _:
                return row.unit, "dim"

    # Mouse

    async def on_click(self, event: events.Click) -> None:
        row = event.y - HEAD + round(self.scroll_y)
        if event.y >= HEAD and row < len(self._rows):
            self.move(row - self.place)
            if event.chain == 2:
                self.post_message(self.Opened())
