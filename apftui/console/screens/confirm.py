"""Asks before anything is changed; and says what a change ran into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Button, Input

from apftui import effects
from apftui.console import pages
from apftui.console.question import Answer, Question
from apftui.console.widgets.entry import Entry
from apftui.console.widgets.paint import Line, Painted, fitted
from core.api.models import Effect, Preview
from core.model.errors import ApftuiError, Stale
from core.settings.duration import seconds

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp

_SHOWN = 8
"""Queues, and effects, at most: the rest is counted."""


class Words(Painted, Widget):
    """Lines of text as high as they are many."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines
        self.styles.height = len(lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines in the same room: what stands below does not move."""
        self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.paint(self._lines[y] if y < len(self._lines) else [], self.size.width)


class Dialog(ModalScreen[Answer | None]):
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
        return min(66, self.app.size.width) - (2 if self.low else 4)

    @property
    def low(self) -> bool:
        """No line to spare."""
        return self.app.size.height < 18


class Confirm(Dialog):
    """Returns the answer, or None if it is not to be done. Cancel has the focus."""

    def __init__(self, console: ConsoleApp, question: Question) -> None:
        super().__init__()
        self._asker = console
        self._question = question
        self._effect = Words(self._asking() if question.preview else [])

    def compose(self) -> ComposeResult:
        question = self._question
        with Vertical():
            yield Words(self._told())
            yield self._effect
            if question.lasting:
                yield Entry("for how long: 30m, 2h, 1d; empty is until changed", id="for")
            if question.reason:
                yield Entry(question.reason, id="why")
            if question.count > 1:
                yield Entry(f"type {question.count} to confirm", id="count")
            with Horizontal():
                yield Button("Cancel", id="cancel", compact=True)
                sure = question.count <= 1 and not question.required
                yield Button(question.verb, id="do", compact=True, disabled=not sure)

    def on_mount(self) -> None:
        self.set_focus(self.query_one("#cancel"))  # before the next key, typed ahead
        if self._question.preview is not None:
            self._ask()

    # What is told

    def _told(self) -> list[Line]:
        question = self._question
        lines = pages.wrapped([], question.title, self.room, "strong")
        lines += cut([part for line in question.about for part in self._broken(line)], self._most)
        lines += pages.wrapped([], question.effect, self.room, "soft") if question.effect else []
        return lines if self.low else [*lines, []]

    def _broken(self, line: Line) -> list[Line]:
        """Break the last part of a line that is too long."""
        *first, (last, ink) = line
        if sum(len(text) for text, _ in line) <= self.room:
            return [line]
        return pages.wrapped(first, last, self.room, ink)

    @property
    def _most(self) -> int:
        """Lines for a list, of which there are two: whom it concerns, and what it does."""
        return 1 if self.low else max(2, min(_SHOWN, (self.app.size.height - 16) // 2))

    def _asking(self) -> list[Line]:
        """Keep the room that the answer will need."""
        told: Line = [("Next pass: asking the factory…", "dim")]
        rows = min(max(1, self._question.count), 1 if self.low else _SHOWN // 2)
        return [told, *([[]] * (rows if self.low else rows + 1))]

    @work(group="preview")
    async def _ask(self) -> None:
        assert self._question.preview is not None
        room = len(self._asking()) - (0 if self.low else 1)
        try:
            async with self._asker.client() as factory:
                told = await self._question.preview(factory)
        except ApftuiError as error:
            diff = error.diff if isinstance(error, Stale) else ()
            said = [
                line
                for text in (str(error), *diff)
                for line in pages.wrapped([], text, self.room, "bad")
            ]
            lines = cut(said, room)
        else:
            lines = effect_lines(told, self.room, room)
        if self.is_mounted:
            self._effect.show(lines)

    # What is answered

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#do", Button).disabled = not self._may_do()

    def _may_do(self) -> bool:
        count = self._question.count
        typed = self._value("count") == str(count) if count > 1 else True
        said = bool(self._value("why")) or not self._question.required
        return typed and said and self._seconds() is not None

    def _value(self, id: str) -> str:
        return "".join(entry.value.strip() for entry in self.query(f"#{id}").results(Entry))

    def _seconds(self) -> float | None:
        """Return how long it is to last, 0 for ever; None if what is typed is no duration."""
        text = self._value("for")
        if not text:
            return 0.0
        try:
            return float(str(seconds(text))) or None
        except ValueError:
            return None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        entries = [*self.query(Entry)]
        following = entries[entries.index(event.input) + 1 :] if event.input in entries else []
        (following[0] if following else self.query_one("#do")).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
            return
        lasting = self._seconds()
        until = self._asker.wall() + lasting if lasting else None
        self.dismiss(Answer(self._value("why"), until))


def cut(lines: Sequence[Line], most: int, left_out: int = 0) -> list[Line]:
    """Return at most so many lines; what is left out, here or before, is counted."""
    if len(lines) + (left_out > 0) <= most:
        shown = len(lines)
    else:
        shown = max(0, most - 1)
    left = len(lines) - shown + left_out
    return [*lines[:shown], *([[(f"  and {left} more", "soft")]] if left else [])]


def effect_lines(told: Preview, width: int, most: int) -> list[Line]:
    """Return what the next pass would do: first the sum, then the queues that change most."""
    every = [*told.queues, *told.others]
    if not every:
        return [[("Nothing would change.", "soft")]]
    if len(every) == 1:
        text = effects.effect(every[0])
        return cut(pages.wrapped([("Next pass: ", "")], text, width, _ink(every[0])), most)
    more = told.after - told.before
    head: Line = [(f"Next pass: {more:+d} pilots", "" if more else "soft")]
    every.sort(key=lambda e: (-abs(e.after.submit - e.before.submit), e.queue))
    # A line each, or their number would not be that of the queues left out.
    lines = [effect_line(e, width) for e in every]
    return [head, *cut(lines, most - 1, told.left_out)]


def effect_line(told: Effect, width: int) -> Line:
    """Return a queue's effect behind its name."""
    name = f"  {told.queue}  "
    return [(name, "soft"), (fitted(effects.effect(told), max(1, width - len(name))), _ink(told))]


def _ink(told: Effect) -> str:
    if told.after.blind:
        return "warn"
    return "" if told.before.submit != told.after.submit else "soft"


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
