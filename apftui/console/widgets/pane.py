"""Lines of text in a room of fixed height."""

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from apftui.console.widgets.paint import Line, Painted


class Pane(Painted, Widget):
    """Shows as many of its lines as there is room for."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.paint(self._lines[y] if y < len(self._lines) else [], self.size.width)
