"""What stands around a wrapper's text: which version and draft it is, and what is wrong with it."""

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from apftui.console.widgets.paint import Item, Line, Painted, spread


class WorkshopTitle(Painted, Widget):
    """Two lines; what does not fit goes whole."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._lines: tuple[tuple[Sequence[Item], Sequence[Item]], ...] = ()

    def show(self, *lines: tuple[Sequence[Item], Sequence[Item]]) -> None:
        """Take the items of each line: those on the left, those on the right."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        left, right = self._lines[y] if y < len(self._lines) else ([], [])
        return self.paint(spread(left, right, width), width)


class Faults(Painted, Widget):
    """As many lines as there are, if there are any."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._lines: Sequence[Line] = ()
        self.display = False

    def show(self, lines: Sequence[Line]) -> None:
        """Show `lines`."""
        if lines != self._lines:
            self._lines = lines
            self.display = bool(lines)
            self.styles.height = max(1, len(lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.paint(self._lines[y] if y < len(self._lines) else [], self.size.width)
