"""A line to type into, at the foot of a screen, closed until it is opened."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from apftui.console.widgets.entry import Entry
from apftui.console.widgets.paint import Painted, fitted


class Label(Painted, Widget):
    """What is asked for, left of the entry."""

    DEFAULT_CSS = "Label { height: 1; }"
    text = ""

    def show(self, text: str, width: int) -> None:
        """Show at most `width` cells of it."""
        self.text = fitted(f" {text}", min(width, len(text) + 1))
        self.styles.width = min(width, len(text) + 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.paint([(self.text, "key")], self.size.width)


class Prompt(Horizontal):
    """Takes the keys from `open` until Enter or Escape."""

    CANCEL: ClassVar[tuple[str, ...]] = ("escape",)
    KEEP: ClassVar[tuple[str, ...]] = ()

    class Typed(Message):
        """The text is another one."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Closed(Message):
        """Done; `cancelled` if the text is to go."""

        def __init__(self, text: str, cancelled: bool) -> None:
            super().__init__()
            self.text = text
            self.cancelled = cancelled

    def __init__(self, label: str = "", placeholder: str = "") -> None:
        super().__init__()
        self._said = label
        self._label = Label()
        self._entry = Entry(placeholder)

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._entry

    def open(self, text: str, label: str = "") -> None:
        """Show the line with `text` in it and take the keys."""
        self.add_class("-open")
        self._label.show(label or self._said, self.screen.size.width // 2)
        self._entry.value = text
        self._entry.cursor_position = len(text)
        self.screen.set_focus(self._entry)  # at once: the next key, typed ahead, is for the entry

    @property
    def is_open(self) -> bool:
        """True while it takes the keys."""
        return self.has_class("-open")

    def cancel(self) -> None:
        """Close it as Escape does."""
        if self.is_open:
            self._close(cancelled=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._close(cancelled=False)

    def on_key(self, event: events.Key) -> None:
        if event.key in (*self.CANCEL, *self.KEEP):
            event.stop()
            event.prevent_default()
            self._close(cancelled=event.key in self.CANCEL)

    def _close(self, cancelled: bool) -> None:
        self.remove_class("-open")
        self.post_message(self.Closed(self._entry.value, cancelled))
