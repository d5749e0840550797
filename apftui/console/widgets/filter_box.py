"""The line in which a filter is typed."""

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from apftui.console.filter import HELP
from apftui.console.widgets.entry import Entry
from apftui.console.widgets.paint import Painted


class Slash(Painted, Widget):
    DEFAULT_CSS = "Slash { width: 2; height: 1; }"

    def render_line(self, y: int) -> Strip:
        return self.paint([(" /", "key")], self.size.width)


class FilterBox(Horizontal):
    """Closed until `open` is called."""

    class Typed(Message):
        """The filter is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Closed(Message):
        """Done; `cancelled` if the filter is to go."""

        def __init__(self, cancelled: bool) -> None:
            super().__init__()
            self.cancelled = cancelled

    def compose(self) -> ComposeResult:
        yield Slash()
        yield Entry(HELP)

    def open(self, text: str) -> None:
        """Show the line with `text` in it and take the keys."""
        self.add_class("-open")
        entry = self.query_one(Entry)
        entry.value = text
        entry.cursor_position = len(text)
        self.screen.set_focus(entry)  # at once: the next key, typed ahead, is for the entry

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-open"):
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(cancelled=False)

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "down", "up"):
            event.stop()
            event.prevent_default()
            self._close(cancelled=event.key == "escape")

    def _close(self, cancelled: bool) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed(cancelled))
