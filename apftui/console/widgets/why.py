"""Why the queue under the cursor does what it does; and what the last command came to."""

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console import pages
from apftui.console.widgets.paint import Line, Painted
from core.api.models import QueueStatus


class Why(Painted, Widget):
    """One line, or on a tall screen the whole decision. A message takes the last line."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._queue: QueueStatus | None = None
        self._message: Line | None = None
        self._lines: list[Line] = []

    def on_resize(self) -> None:
        self._write()

    def show(self, queue: QueueStatus | None) -> None:
        """Explain `queue`."""
        if queue is not self._queue:
            self._queue = queue
            self._write()

    def say(self, message: Line | None) -> None:
        """Show a message instead, until it is None."""
        if message != self._message:
            self._message = message
            self._write()

    def render_line(self, y: int) -> Strip:
        return self.paint(self._lines[y] if y < len(self._lines) else [], self.size.width)

    def _write(self) -> None:
        said = [(" ", ""), *self._message] if self._message else None
        queue, width, height = self._queue, *self.size
        if height == 1:
            self._lines = [said or (_short(queue) if queue else [])]
        else:
            lines = [pages.heading(queue.name if queue else "", width)]
            if queue:
                lines += pages.why(queue, width)
            self._lines = [*lines[: height - 1], said] if said else lines[:height]
        self.refresh()


def _short(queue: QueueStatus) -> Line:
    word = words.STATES[queue.state]
    return [(f" {queue.name} ", "strong"), (word.word, word.style), (f" {words.why(queue)}", "")]
