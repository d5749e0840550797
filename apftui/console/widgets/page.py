"""Lines of text that scroll."""

from collections.abc import Sequence
from typing import ClassVar

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from apftui.console.widgets.paint import Line, Painted


class Page(ScrollView, Painted, can_focus=True, inherit_bindings=False):
    """Draws the lines it is given; given anew, it draws those that differ."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Painted.COMPONENT_CLASSES
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show `lines`; the page stays where it is scrolled to."""
        before, self._lines = self._lines, lines
        size = Size(self.size.width, len(lines))
        if size != self.virtual_size:
            self.virtual_size = size
            self.refresh()
            return
        top = round(self.scroll_y)
        for y in range(self.size.height):
            if lines[top + y : top + y + 1] != before[top + y : top + y + 1]:
                self.refresh(Region(0, y, self.size.width, 1))

    def move(self, by: int) -> None:
        """Scroll by lines."""
        self.scroll_to(y=round(self.scroll_y) + by, animate=False, force=True, immediate=True)

    @property
    def length(self) -> int:
        """Number of lines."""
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        row, width = y + round(self.scroll_y), self.size.width
        return self.paint(self._lines[row] if row < len(self._lines) else [], width)
