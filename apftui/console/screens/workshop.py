"""One wrapper under the operator's keys: a draft of it is kept, dropped, and published."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import work
from textual.app import SuspendNotSupported
from textual.timer import Timer
from textual.widgets import TextArea

from apftui.console import format as words
from apftui.console import wrapper_pages
from apftui.console.commands import BY_NAME
from apftui.console.question import Answer, Question
from apftui.console.screens.wrapper_view import WrapperView
from core.api.client import Client
from core.api.wrappers import Draft
from core.model.errors import ApftuiError, Stale

if TYPE_CHECKING:
    from apftui.console.app import ConsoleApp

PAUSE_S = 0.5
"""After this long without a key the draft is kept, and the factory is asked what it is worth."""


class Workshop(WrapperView):
    """What changes a draft, and what becomes of it."""

    def __init__(self, console: ConsoleApp, name: str, queue: str) -> None:
        super().__init__(console, name, queue)
        self._pause: Timer | None = None

    def on_unmount(self) -> None:
        super().on_unmount()
        try:
            if self._pause is not None and self._loaded:
                self.bench.keep_now(self.editor.text)
        except ApftuiError as error:
            self.console.say(str(error), "bad")
        self.bench.close()

    # Typing

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        if not self._loaded:
            return
        self._revision += 1
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_S, self._paused)
        self._show()

    def _paused(self) -> None:
        self._keep()
        self._check()

    @work(group="keep")
    async def _keep(self) -> None:
        await self._kept()

    async def _kept(self) -> bool:
        """Keep the draft as it is now; return whether it is."""
        pause = self._pause
        try:
            await self.bench.keep(lambda: self.editor.text)
        except ApftuiError as error:
            self.console.say(str(error), "bad")
            return False
        if self._pause is pause:  # else something was typed meanwhile
            self._pause = None
        self._show()
        return True

    # Leaving, dropping, another editor

    async def action_back(self) -> None:
        if self.tab != "edit":
            self._turn_to("edit")
            return
        if not await self._kept() and self.drafted:
            return  # it would be lost
        drafted = self.drafted
        self.dismiss()
        if drafted:
            self.console.say(f"your draft of {self.bench.name} is kept")

    async def action_discard(self) -> None:
        if not self.drafted:
            self.console.say("there is no draft to drop", "soft")
            return
        await self.console.confirm(
            Question("Drop your draft?", "Drop", self._drop, effect=BY_NAME["discard"].effect)
        )

    async def _drop(self, factory: Client, answer: Answer) -> str:
        if self.bench.live is not None:
            self.bench.base = self.bench.live.version
            self.editor.load(self.bench.template)
            self._paused()
        return f"the draft of {self.bench.name} is dropped"

    async def action_outside(self) -> None:
        """Edit the draft's file in the operator's own editor; the console waits for it."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            path = await self.bench.file(self.editor.text)
            said = self._run([*shlex.split(editor), str(path)])
            draft = await self.bench.reread()
        except (ApftuiError, ValueError, SuspendNotSupported) as error:
            self.console.say(f"{editor}: {error}", "bad")
            return
        if draft is not None and draft != self.editor.text:
            self.editor.load(draft)
        self.console.say(f"{editor}: {said}" if said else "", "bad")
        self._paused()

    def _run(self, command: Sequence[str]) -> str:
        """Give the terminal to another program until it ends; return what went wrong."""
        with self.app.suspend():  # whatever is raised in here would keep the terminal
            try:
                code = subprocess.run(command, check=False).returncode
            except OSError as error:
                return error.strerror or str(error)
        return f"it ended with code {code}" if code else ""

    # Publishing

    async def action_publish(self) -> None:
        status, name = self.bench.status, self.bench.name
        if status is None:
            self.console.say("the factory has not told of it yet", "warn")
        elif self.tab == "versions":
            version = self.list.cursor or status.version
            if version == status.version:
                self.console.say(f"{version} is the one that counts", "soft")
            else:
                title = f"Publish version {version} of {name} again?"
                await self._ask(title, Draft(name=name, version=version), status.version)
        elif not self.drafted:
            self.console.say("there is no draft to publish", "soft")
        elif self._checked is not None and self._checked[0] == self._revision and self._found:
            self.console.say(f"not published: {words.count(len(self._found), 'problem')}", "bad")
        else:
            try:
                # The text as it is now: what is typed later was not looked at.
                draft = self.bench.draft(self.editor.text)
            except ApftuiError as error:
                self.console.say(str(error), "bad")
            else:
                await self._ask(f"Publish your draft of {name}?", draft, self.bench.base)

    async def _ask(self, title: str, draft: Draft, base: str) -> None:
        assert self.bench.status is not None

        async def publish(factory: Client, answer: Answer) -> str:
            try:
                done = await self.bench.publish(draft, base, answer.why)
            except Stale:
                await self._rebase(True)
                raise
            await self._rebase(draft.template is not None)
            return f"{done.what}: {done.state}"

        await self.console.confirm(
            Question(
                title,
                "Publish",
                publish,
                about=wrapper_pages.reach(self.bench.status, base),
                effect=BY_NAME["publish"].effect,
                reason="what was changed, and why",
                required=True,
                count=len(self.bench.users),
            )
        )

    async def _rebase(self, mine: bool) -> None:
        """Ask what counts now; if the draft is `mine` to go on with, it is one of that."""
        try:
            await self._read()
        except ApftuiError:
            return
        if self.bench.live is not None and mine:
            self.bench.base = self.bench.live.version
        if self.is_mounted:
            self._paused()
