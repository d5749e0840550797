"""Why the queue under the cursor does what it does; and what the last command came to."""

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console import pages
from apftui.console.widgets.paint import Line, Painted
from core.api.models import QueueStatus


class Why(Painted, Widget):
    """One line, or on a tall screen the whole decision. A message takes its first line."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._queue: QueueStatus | None = None
        self._message: Line | None = None

    def show(self, queue: QueueStatus | None) -> None:
        """Explain `queue`."""
        if queue is not self._queue:
            self._queue = queue
            self.refresh()

    def say(self, message: Line | None) -> None:
        """Show a message instead, until it is None."""
        if message != self._message:
            self._message = message
            self.refresh()

    def render_line(self, y: int) -> Strip:
        lines, width = self._lines(), self.size.width
        return self.paint(lines[y] if y < len(lines) else [], width)

    def _lines(self) -> list[Line]:
        said = [(" ", ""), *self._message] if self._message else None
        queue = self._queue
        if self.size.height == 1:
            return [said or (self._short(queue) if queue else [])]
        lines = [pages.heading(queue.name if queue else "", self.size.width)]
        if queue:
            lines += pages.why(queue, self.size.width)
        return [*lines[: self.size.height - 1], said] if said else lines

    def _short(self, queue: QueueStatus) -> Line:
        word = words.STATES[queue.state]
        return [
            (f" {queue.name} ", "strong"),
            (word.word, word.style),
            (f" {words.why(queue)}", ""),
        ]
