"""One wrapper: its text, what queues would get of it, what differs, and its versions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from textual import work
from textual.widget import Widget

from apftui.console import commands, wrapper_pages
from apftui.console import format as words
from apftui.console.bench import Bench
from apftui.console.commands import BY_NAME
from apftui.console.screens.base import ConsoleScreen
from apftui.console.store import Change, Link
from apftui.console.widgets.editor import Editor
from apftui.console.widgets.paint import Line
from apftui.console.widgets.pick_list import PickList
from apftui.console.widgets.workshop_parts import Faults, WorkshopTitle
from core.api.wrappers import CheckResult, Fault
from core.model.errors import ApftuiError

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp

Tab = Literal["edit", "preview", "diff", "versions"]

_WHILE_TYPING = frozenset(
    ["back", "draft", "preview", "diff", "versions", "publish", "discard", "next_fault", "outside"]
)


class WrapperView(ConsoleScreen):
    """A wrapper on the bench: its text, and all that can be seen of it."""

    BINDINGS = commands.bindings("workshop")

    def __init__(self, console: ConsoleApp, name: str, queue: str) -> None:
        super().__init__(console)
        self.bench = Bench(name, console.client, console.wall)
        self.queue = queue
        """For which the preview is."""
        self.tab: Tab = "edit"
        self.editor = Editor()
        self.list = PickList()
        self.faults = Faults()
        self.title_line = WorkshopTitle()
        self._opening = True
        self._loaded = False
        self._revision = 0
        """Counts what was typed: an older answer is for an older text."""
        self._checked: tuple[int, CheckResult] | None = None

    def body(self) -> Sequence[Widget]:
        texts = [self.editor, self.page, self.list]
        return [self.title_line, self.alarms(), *texts, self.faults, self.why]

    @property
    def main(self) -> Widget:
        if self.tab == "edit":
            return self.editor
        return self.list if self.tab == "versions" else self.page

    def on_mount(self) -> None:
        self.editor.read_only = True  # until its text is there
        self._turn_to("edit")
        super().on_mount()
        self._open()

    def on_resize(self) -> None:
        self._show()

    def tick(self) -> None:
        super().tick()
        self._show()

    def changed(self, change: Change) -> None:
        if not self._loaded:
            if not self._opening and self.store.link is Link.LIVE:
                self._opening = True
                self._open()
        elif change.queues is None or change.queues:
            self._look_again()

    @property
    def drafted(self) -> bool:
        """The text is another than the one that counts."""
        return self._loaded and self.bench.is_draft(self.editor.text)

    # What is there

    @work(group="open")
    async def _open(self) -> None:
        """Show the draft, if there is one, else what counts."""
        bench, draft = self.bench, None
        try:
            await bench.read()
            if self.console.asked_read_only:
                self.console.say(f"read-only: {self.console.why_read_only}", "warn")
            else:
                draft = await bench.take(self.console.drafts)
        except ApftuiError as error:
            self.console.say(str(error), "bad")
        finally:
            self._opening = False
        if not self.is_mounted or bench.live is None:
            return
        self.editor.load(bench.template if draft is None else draft)
        self._loaded = True
        self.editor.read_only = not bench.writable
        self.refresh_bindings()
        if self.queue not in bench.users:
            self.queue = next(iter(bench.users), "")
        if self.drafted and bench.kept_at is not None:
            said = f"this is your draft of {words.moment(bench.kept_at)}"
            self.console.say(f"{said}, made from {bench.base}", "good")
        self._show()
        self._check()

    @work(exclusive=True, group="status")
    async def _look_again(self) -> None:
        """Somebody may have published meanwhile."""
        try:
            await self._read()
        except ApftuiError:
            return  # the header says that nobody answers
        self._show()

    async def _read(self) -> None:
        """Ask what counts now; it is shown, unless there is a draft when the answer comes."""
        before, shown = self.bench.live, self.bench.template
        await self.bench.read()
        live = self.bench.live
        if live is not None and live != before and self.editor.text == shown:
            self.bench.base = live.version
            self.editor.load(self.bench.template)

    @work(exclusive=True, group="check")
    async def _check(self) -> None:
        """Ask the factory what the text is worth."""
        asked = self._revision
        try:
            found = await self.bench.check(self.editor.text)
        except ApftuiError as error:
            self.console.say(str(error), "bad")
            return
        if asked == self._revision:
            self._checked = (asked, found)
            self._show()

    # What is shown

    def _show(self) -> None:
        if not self.is_mounted:
            return
        fresh = self._checked is not None and self._checked[0] == self._revision
        result = self._checked[1] if self._checked is not None and fresh else None
        self.title_line.show(
            wrapper_pages.title(self.bench, self._draft_words(), self.console.wall()),
            wrapper_pages.tabs(self.tab, result, self.queue),
        )
        lines = wrapper_pages.faults(self._found, self.size.width) if self.tab == "edit" else []
        self.faults.show(lines[: 5 if self.size.height < 40 else 12])
        if self.tab == "versions" and self.bench.status is not None:
            self.list.show(wrapper_pages.versions(self.bench.status, self.console.wall()))

    def _draft_words(self) -> Line:
        bench = self.bench
        if not self._loaded or not bench.writable:
            return [("read-only" if self._loaded else "…", "warn")]
        if not self.drafted or bench.live is None:
            return [("no draft", "dim")]
        kept = "not kept yet" if bench.kept_at is None else f"kept {words.clock(bench.kept_at)}"
        late = f", {bench.live.version} counts by now" if bench.live.version != bench.base else ""
        return [(f"✎ draft from {bench.base}", "warn"), (late, "bad"), (f", {kept}", "soft")]

    @property
    def _found(self) -> Sequence[Fault]:
        return self._checked[1].faults if self._checked is not None else ()

    def _turn_to(self, tab: Tab) -> None:
        self.tab = tab
        for widget in (self.editor, self.page, self.list):
            widget.display = widget is self.main
        self.set_focus(self.main)
        self._show()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        typing = self.tab == "edit" and not self.editor.read_only
        if typing and action in BY_NAME and action not in _WHILE_TYPING:
            return False  # these keys are letters of the text
        if action == "show_version" and self.tab != "versions":
            return False
        if action in ("outside", "discard") and self.editor.read_only:
            return None
        return super().check_action(action, parameters)

    @property
    def why_read_only(self) -> str:
        return super().why_read_only or "there is no draft here that is yours"

    def action_draft(self) -> None:
        self._turn_to("edit")

    def action_versions(self) -> None:
        self._turn_to("versions")

    def action_preview(self) -> None:
        self._turn_to("preview")
        self._fill()

    def action_diff(self) -> None:
        self._turn_to("diff")
        self._fill()

    @work(exclusive=True, group="fill")
    async def _fill(self) -> None:
        """Fill the page of this tab."""
        self.page.show([[(" …", "dim")]])
        self.action_top()
        tab, queue, text, width = self.tab, self.queue, self.editor.text, self.size.width - 1
        try:
            if tab == "preview":
                script = await self.bench.script(text, queue)
                lines = await asyncio.to_thread(wrapper_pages.script, script)
            else:
                lines = await self._differences(text, queue, width)
        except ApftuiError as error:
            lines = wrapper_pages.problem(str(error), width)
        if (tab, queue) == (self.tab, self.queue):
            self.page.show(lines)

    async def _differences(self, text: str, queue: str, width: int) -> list[Line]:
        live = self.bench.live
        title = f"wrapper.sh: {live.version if live else words.UNKNOWN} → draft"
        texts = {title: (self.bench.template, text)}
        refused: list[Line] = []
        try:
            now, then = await self.bench.live_script(queue), await self.bench.script(text, queue)
        except ApftuiError as error:
            refused = [[], *wrapper_pages.problem(str(error), width)]
        else:
            texts[f"the script {wrapper_pages.whose(queue)}"] = now, then
        told = await asyncio.to_thread(wrapper_pages.differences, texts, width)
        return [*told, *refused]

    def action_next_fault(self) -> None:
        lines = sorted({f.line for f in self._found if f.line and f.file == "wrapper.sh"})
        if not lines:
            self.console.say("no problem has a line in this file", "soft")
            return
        self._turn_to("edit")
        here = self.editor.cursor_location[0] + 1
        self.editor.go_to_line(next((n for n in lines if n > here), lines[0]))

    def _turn(self, by: int) -> None:
        users = self.bench.users
        if self.queue in users:
            self.queue = users[(users.index(self.queue) + by) % len(users)]
            self._show()
            if self.tab in ("preview", "diff"):
                self._fill()

    def action_previous_queue(self) -> None:
        self._turn(-1)

    def action_next_queue(self) -> None:
        self._turn(1)

    def scroll(self, by: int) -> None:
        if self.tab == "versions":
            self.list.move(by)
        elif self.tab == "edit":
            self.editor.move_cursor_relative(rows=by)
        else:
            super().scroll(by)

    async def on_pick_list_opened(self) -> None:
        await self.action_show_version()

    async def action_show_version(self) -> None:
        if self.list.cursor is None:
            return
        try:
            text = await self.bench.version(self.list.cursor)
        except ApftuiError as error:
            self.console.say(str(error), "bad")
        else:
            await self.console.show_lines(wrapper_pages.script(text.template))
