"""Asks before anything is changed; and says what a change ran into."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Button, Input

from apftui.console import format as words
from apftui.console import pages
from apftui.console.commands import Command
from apftui.console.widgets.entry import Entry
from apftui.console.widgets.paint import Line, Painted
from core.api.models import QueueStatus


class Words(Painted, Widget):
    """Lines of text as high as they are many; `make(width)` returns them."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines
        self.styles.height = len(lines)

    def render_line(self, y: int) -> Strip:
        return self.paint(self._lines[y] if y < len(self._lines) else [], self.size.width)


class Dialog(ModalScreen[str | None]):
    """A box over the screen; Escape leaves it without doing anything."""

    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-normal")]
    BINDINGS = [
        ("escape", "cancel", "Cancel"),
        ("left,up", "app.focus_previous", ""),
        ("right,down", "app.focus_next", ""),
    ]

    def action_cancel(self) -> None:
        self.dismiss(None)

    @property
    def room(self) -> int:
        """Cells for text."""
        return min(66, self.app.size.width) - (2 if self.app.size.height < 18 else 4)


class Confirm(Dialog):
    """Returns the reason given, or None if it is not to be done. Cancel has the focus."""

    def __init__(self, command: Command, queues: Sequence[QueueStatus]) -> None:
        super().__init__()
        self._command = command
        self._queues = queues
        self._verb = command.label.capitalize()

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Words(self._question())
            if self._command.needs == "queue":
                yield Entry("reason, kept in the list of actions", id="why")
            if len(self._queues) > 1:
                yield Entry(f"type {len(self._queues)} to confirm", id="count")
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self._verb, id="do", compact=True, disabled=len(self._queues) > 1)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#cancel"))  # before the next key, typed ahead

    def _question(self) -> list[Line]:
        n, room = len(self._queues), self.room
        if self._command.needs != "queue":
            lines: list[Line] = [[(f"{self._command.help}?", "strong")]]
        elif n == 1:
            queue = self._queues[0]
            word = words.STATES[queue.state]
            lines = [[(f"{self._verb} {queue.name}?", "strong"), (f"  {word.word}", word.style)]]
        else:
            lines = [[(f"{self._verb} {n} queues?", "strong")]]
            most = 2 if self.app.size.height < 18 else 8
            lines += [[(f"  {queue.name}", "")] for queue in self._queues[:most]]
            if n > most:
                lines.append([(f"  and {n - most} more", "soft")])
        lines += pages.wrapped([], self._command.effect, room, "soft")
        return lines if self.app.size.height < 18 else [*lines, []]

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "count":
            self.query_one("#do", Button).disabled = event.value.strip() != str(len(self._queues))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        entries = [*self.query(Entry)]
        following = entries[entries.index(event.input) + 1 :] if event.input in entries else []
        (following[0] if following else self.query_one("#do")).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
            return
        reasons = self.query("#why").results(Entry)
        self.dismiss("".join(entry.value.strip() for entry in reasons))


class Notice(Dialog):
    """Something that must be read before going on."""

    AUTO_FOCUS = "#close"

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._told = lines

    def compose(self) -> ComposeResult:
        room = self.room
        lines: list[Line] = pages.wrapped([], self._title, room, "strong")
        for text in self._told:
            lines += pages.wrapped([("  ", "")], text, room)
        with Vertical():
            yield Words([*lines[: max(1, self.app.size.height - 5)], []])
            with Horizontal():
                yield Button("Close", id="close", compact=True)

    def on_button_pressed(self) -> None:
        self.dismiss(None)
