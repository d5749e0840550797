"""Asks before a wrapper is published: what it reaches, and why it is done."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input

from apftui.console import pages
from apftui.console.screens.confirm import Dialog, Words
from apftui.console.widgets.entry import Entry
from apftui.console.widgets.paint import Line


class PublishDialog(Dialog):
    """Returns the message, or None if nothing is to be published. Cancel has the focus."""

    def __init__(self, title: str, effect: Sequence[str], queues: int) -> None:
        super().__init__()
        self._title = title
        self._effect = effect
        self._queues = queues

    def compose(self) -> ComposeResult:
        room = self.room
        lines: list[Line] = pages.wrapped([], self._title, room, "strong")
        for text in self._effect:
            lines += pages.wrapped([], text, room, "soft")
        with Vertical():
            yield Words(lines if self.app.size.height < 18 else [*lines, []])
            yield Entry("what was changed, and why", id="message")
            if self._queues > 1:
                yield Entry(f"type {self._queues} to confirm", id="count")
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Publish", id="do", compact=True, disabled=True)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#cancel"))  # before the next key, typed ahead

    @property
    def _message(self) -> str:
        return self.query_one("#message", Entry).value.strip()

    def on_input_changed(self, event: Input.Changed) -> None:
        typed = [entry.value.strip() for entry in self.query("#count").results(Entry)]
        sure = typed in ([], [str(self._queues)])
        self.query_one("#do", Button).disabled = not (sure and self._message)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.app.action_focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self._message if event.button.id == "do" else None)
