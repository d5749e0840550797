"""The parameters of one or more queues: looked at, tried out, and changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import work
from textual.widget import Widget

from apftui import values
from apftui.console import changes, commands, pages
from apftui.console import format as words
from apftui.console.parameters import DEFAULT, MIXED, New, Row, Sheet, new_text, text
from apftui.console.question import Answer, Question
from apftui.console.screens.base import ConsoleScreen
from apftui.console.screens.confirm import Confirm, cut, effect_lines
from apftui.console.store import Change
from apftui.console.widgets.paint import Item, Line, spread
from apftui.console.widgets.pane import Pane
from apftui.console.widgets.parameter_table import ParameterTable
from apftui.console.widgets.prompt import Prompt
from core.api.client import Client
from core.api.models import Change as Wanted
from core.api.models import Preview
from core.model.errors import ApftuiError, NotFound, Stale

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp

PAUSE_S = 0.25
"""After the last key until the factory is asked what a value would do."""


class ParameterScreen(ConsoleScreen):
    """One table, one editor; what is new counts only once it is applied."""

    BINDINGS = commands.bindings("parameters")

    def __init__(self, console: ConsoleApp, names: Sequence[str]) -> None:
        super().__init__(console)
        self.names = tuple(names)
        self.sheet: Sheet | None = None
        self.new: dict[str, Any] = {}
        self._typed: tuple[str, Any] | None = None
        self._edited = ""
        """The key that the prompt is open for, wherever the cursor is by now."""
        self._others: dict[str, str] = {}
        self._mine = False
        """What the next answer tells of is a change of one's own."""
        self._effect: Callable[[int], list[Line]] | None = None
        """What the new values would do, in at most so many lines."""
        self._old_effect = False
        self._problem = ""
        self.table = ParameterTable()
        self.title_line = Pane()
        self.pane = Pane()
        self.prompt = Prompt()

    def body(self) -> Sequence[Widget]:
        return [self.title_line, self.alarms(), self.table, self.pane, self.why, self.prompt]

    @property
    def main(self) -> Widget:
        return self.table

    def on_mount(self) -> None:
        super().on_mount()
        self.title_line.add_class("-title")
        self.ask()
        self._show()

    def on_resize(self) -> None:
        self._show()

    # What the factory says

    def changed(self, change: Change) -> None:
        if change.queues is not None and not change.queues & set(self.names):
            return
        # A queue in other numbers is decided otherwise, also with the same settings.
        self._old_effect = True
        if self.sheet is None or any(self._revision(n) != r for n, r in self._seen.items()):
            self.ask()

    @property
    def _seen(self) -> dict[str, str]:
        return self.sheet.revisions if self.sheet else {}

    def _revision(self, name: str) -> str | None:
        seen = self.store.queues.get(name)
        return seen.queue.revision if seen else None

    def tick(self) -> None:
        super().tick()
        if self._old_effect and self._wanted():
            self._old_effect = False
            self.preview()

    @work(exclusive=True, group="sheet")
    async def ask(self) -> None:
        """Read the table anew; what is new stays."""
        try:
            async with self.console.client() as factory:
                sheet = Sheet([p async for p in changes.parameters(factory, self.names)])
        except ApftuiError as error:
            self._problem = str(error)
            if isinstance(error, NotFound):
                self.sheet = None
        else:
            if self.sheet is not None and not self._mine:
                self._others |= sheet.moved(self.sheet)
            self.sheet, self._problem, self._mine = sheet, "", False
        if self.is_mounted:
            self._show()
            if self._wanted():
                self.preview()

    @work(exclusive=True, group="preview")
    async def preview(self) -> None:
        """Ask what the new values would do; a newer question takes the place of this one."""
        await asyncio.sleep(PAUSE_S)
        wanted = self._changes()
        if not wanted:
            self._effect = None
        else:
            width = self.pane.size.width
            try:
                async with self.console.client() as factory:
                    told = await changes.preview(factory, wanted)
            except Stale:
                self.ask()  # with its answer this question comes again
                return
            except ApftuiError as error:
                self._effect = partial(cut, pages.wrapped([(" ✗ ", "bad")], str(error), width))
            else:
                self._effect = partial(_indented, told, max(20, width - 1))
        if self.is_mounted:
            self._show()

    def _wanted(self) -> dict[str, Any]:
        """Return what is new, and what is being typed."""
        return self.new | dict([self._typed]) if self._typed else self.new

    def _changes(self) -> changes.Changes:
        return self.sheet.changes(self._wanted()) if self.sheet else ()

    # What is shown

    def _show(self) -> None:
        if not self.is_mounted:
            return
        self.table.show(self.sheet, self._wanted(), self._others)
        self.title_line.show([self._title(self.title_line.size.width)])
        self.pane.show(self._told(*self.pane.size))

    def _title(self, width: int) -> Line:
        overrides = sum(len(row.overrides) for row in self.sheet.rows) if self.sheet else 0
        more = len(self.names) - 1
        name = f"{self.names[0]} and {more} more" if more else self.names[0]
        left = [
            Item(1, [("Parameters", "soft")]),
            Item(0, [(name, "strong")]),
        ]
        right = [
            Item(2, [(f"* {len(self._others)} changed meanwhile", "warn")] if self._others else []),
            Item(3, [(words.count(overrides, "override"), "soft")]),
            Item(1, [(f"{len(self.new)} new", "key")] if self.new else []),
        ]
        return spread(left, right, width)

    def _told(self, width: int, height: int) -> list[Line]:
        row = self.table.current
        if row is None:
            return pages.wrapped([(" ", "")], self._problem or "asking the factory…", width)
        lines = [pages.heading(row.key, width)]
        if self._problem:
            lines += pages.wrapped([(" ! ", "bad")], self._problem, width)
        if row.key in self._others:
            told = f"changed meanwhile: {self._others[row.key]}"
            lines += pages.wrapped([(" * ", "warn")], told, width, "warn")
        lines += pages.wrapped([(" ", "")], row.help or "No help.", width)
        lines += _facts(row, width)
        if not (self._effect and self._wanted()):
            return lines
        # The effect is what one must not miss.
        effect = [pages.heading("If applied now", width), *self._effect(max(1, height - 3))]
        return [*lines[: max(0, height - len(effect))], *effect]

    # What the operator does

    def scroll(self, by: int) -> None:
        self.table.move(by)

    @property
    def page_height(self) -> int:
        return self.table.page

    def on_parameter_table_moved(self) -> None:
        self._show()

    def on_parameter_table_opened(self) -> None:
        self.action_edit()

    def action_edit(self) -> None:
        row = self.table.current
        if row is None:
            return
        value = self.new.get(row.key, row.value)
        if value is DEFAULT:
            value = row.default
        self._edited = row.key
        self.why.display = False
        shown = "" if value in (None, MIXED) else values.shown(value)
        self.prompt.open(shown, f"{row.key} = ")

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        row = self._row
        if row is not None:
            self._typed = self._meant(row, message.text)
            self.preview()
            self._show()

    def on_prompt_closed(self, message: Prompt.Closed) -> None:
        self.why.display = True
        self.set_focus(self.table)
        self._typed = None
        row = self._row
        if row is not None and not message.cancelled:
            meant = self._meant(row, message.text)
            self._want(row.key, meant[1] if meant else None)
        self.preview()
        self._show()

    @property
    def _row(self) -> Row | None:
        """What the prompt is open for."""
        return self.sheet.by_key.get(self._edited) if self.sheet else None

    def _meant(self, row: Row, text: str) -> tuple[str, Any] | None:
        """Return what was typed, None if that is nothing new."""
        if not text.strip():
            return None
        value = values.parse(text, row.form)
        return None if values.shown(value) == values.shown(row.value) else (row.key, value)

    def _want(self, key: str, value: Any) -> None:
        if value is None:
            self.new.pop(key, None)
        else:
            self.new[key] = value

    def action_reset(self) -> None:
        row = self.table.current
        if row is None:
            return
        if row.overrides:
            self._want(row.key, DEFAULT)
        else:
            self._want(row.key, None)
            self.say([(f"{row.key}: no operator has set it", "soft")])
        self.preview()
        self._show()

    async def action_apply(self) -> None:
        sheet, new, wanted = self.sheet, {**self._wanted()}, self._changes()
        if sheet is None or not wanted:
            self.say([("nothing new to apply", "soft")])
            return
        queues = dict.fromkeys(change.queue for change in wanted)
        keys = dict.fromkeys(change.key for change in wanted)
        to = next(iter(queues)) if len(queues) == 1 else words.count(len(queues), "queue")

        async def do(factory: Client, answer: Answer) -> str:
            told = f"{words.count(len(keys), 'parameter')} of {to} changed"
            return await changes.change(factory, wanted, answer, told)

        def done() -> None:
            for key in keys:
                self.new.pop(key, None)
            self._others.clear()
            self._effect = None
            self.prompt.cancel()
            self._show()
            self._mine = True
            self.ask()

        question = Question(
            title=f"Apply {words.count(len(keys), 'parameter')} to {to}?",
            verb="Apply",
            do=do,
            about=tuple(_old_and_new(sheet, new, change, len(queues)) for change in wanted),
            reason=changes.REASON,
            lasting=True,
            count=len(queues),
            preview=lambda factory: changes.preview(factory, wanted),
        )
        await self.console.confirm(question, done)

    async def action_back(self) -> None:
        if not self.new:
            self.dismiss()
            return
        told = words.count(len(self.new), "new value")

        async def nothing(factory: Client, answer: Answer) -> str:
            return ""

        question = Question(
            f"Leave without applying {told}?", "Leave", nothing, effect="They are lost."
        )

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                self.dismiss()

        await self.console.push_screen(Confirm(self.console, question), answered)


def _indented(told: Preview, width: int, most: int) -> list[Line]:
    return [[(" ", ""), *line] for line in effect_lines(told, width, most)]


def _old_and_new(sheet: Sheet, new: New, change: Wanted, queues: int) -> Line:
    row = sheet.by_key[change.key]
    before, after = text(row.cells[change.queue].value), new_text(row, new)
    name: list[tuple[str, str]] = [(f"  {change.queue}", "soft")] if queues > 1 else []
    key = f"  {change.key}  "
    return [*name, (key, "soft"), (before, ""), (" → ", "dim"), (after, "strong")]


def _facts(row: Row, width: int) -> list[Line]:
    """Return what fits, what it would be, and who set it otherwise."""
    told = [f"without override {text(row.default)} ({row.default_layer})"]
    if row.span:
        told.insert(0, f"{row.span} {row.unit}".rstrip())
    lines = pages.wrapped([(" ", "")], "; ".join(told), width, "soft")
    for queue, override in row.overrides.items():
        what = f"{queue}: " if len(row.cells) > 1 else ""
        what += f"{text(override.value)} by {override.by}, {words.moment(override.at)}"
        what += f", until {words.moment(override.until)}" if override.until else ""
        what += f": {override.why}" if override.why else ""
        lines += pages.wrapped([(" ", "")], what, width, "warn")
    return lines
