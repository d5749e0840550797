"""A wrapper on the bench: what counts, the operator's draft of it, and what the factory says."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import RootModel, ValidationError

from apftui.console.drafts import Desk
from core.api.client import Client
from core.api.models import Action
from core.api.wrappers import (
    CheckResult,
    Draft,
    PublishRequest,
    RenderRequest,
    Script,
    WrapperStatus,
    WrapperText,
)
from core.model.errors import ApftuiError
from core.model.text import visible

CHECK_S = 30.0
PUBLISH_S = 60.0


class Bench:
    """One wrapper. Every call may raise an ApftuiError that says what happened and the cure."""

    def __init__(self, name: str, client: Callable[[], Client], wall: Callable[[], float]) -> None:
        self.name = name
        self.status: WrapperStatus | None = None
        self.live: WrapperText | None = None
        """What counts."""
        self.template = ""
        """Its template, as an editor may show it."""
        self.base = ""
        """The version that the draft is made from."""
        self.kept_at: float | None = None
        """When the draft was written to disk last."""
        self._client = client
        self._wall = wall
        self._desk: Desk | None = None
        self._keeping = asyncio.Lock()
        self._reading = asyncio.Lock()

    @property
    def writable(self) -> bool:
        """A draft can be made: no other console has it."""
        return self._desk is not None

    @property
    def users(self) -> tuple[str, ...]:
        """The queues that use it."""
        return self.status.queues if self.status else ()

    def is_draft(self, text: str) -> bool:
        """Tell whether `text` is another than the one that counts."""
        return self.live is not None and text != self.template

    # The disk

    async def take(self, folder: Path) -> str | None:
        """Take the draft, and return it if there is one."""
        if self._desk is None:
            self._desk = await asyncio.to_thread(Desk, folder, self.name)
        return await self.reread()

    async def reread(self) -> str | None:
        """Return the draft as it is on disk."""
        assert self._desk is not None
        draft = await asyncio.to_thread(self._desk.read)
        if draft is None:
            return None
        self.base, self.kept_at = draft.base, draft.at
        return visible(draft.text)

    async def keep(self, text: Callable[[], str]) -> None:
        """Write down what `text` returns; one that counts anyway is no draft."""
        async with self._keeping:  # an older text is never written over a newer one
            if self._desk is not None and self.live is not None:
                await asyncio.to_thread(self.keep_now, text())

    def keep_now(self, text: str) -> None:
        """The same, at once."""
        if self._desk is None or self.live is None:
            return
        if self.is_draft(text):
            self._desk.write(self.base, text)
            self.kept_at = self._wall()
        else:
            self._desk.discard()
            self.kept_at, self.base = None, self.live.version

    async def file(self, text: str) -> Path:
        """Return the file of the draft with `text` in it, for another editor."""
        assert self._desk is not None
        return await asyncio.to_thread(self._desk.write, self.base, text)

    def close(self) -> None:
        """Let other consoles have the draft."""
        if self._desk is not None:
            self._desk.close()
            self._desk = None

    # The factory

    async def read(self) -> None:
        """Ask what counts now."""
        # An older answer never comes over a newer one.
        async with self._reading, self._client() as factory:
            answer = await factory.get("/v1/wrappers", RootModel[tuple[WrapperStatus, ...]])
            live = await factory.get("/v1/wrapper", WrapperText, name=self.name)
        self.status = next((w for w in answer.root if w.name == self.name), None)
        if live != self.live:
            self.live, self.template = live, visible(live.template)
        self.base = self.base or live.version

    def draft(self, text: str) -> Draft:
        """Return `text` as the factory gets it."""
        try:
            changed = text if self.is_draft(text) else None
            return Draft(name=self.name, version=self.base, template=changed)
        except ValidationError:
            raise ApftuiError("the template is too long", "256 KiB are the most") from None

    async def check(self, text: str) -> CheckResult:
        """Ask what keeps `text` from being published."""
        async with self._client() as factory:
            return await factory.post("/v1/check", self.draft(text), CheckResult, deadline=CHECK_S)

    async def script(self, text: str, queue: str) -> str:
        """Return what `queue` would get of `text`; "" is no queue, with sample values."""
        return await self._script(self.draft(text), queue)

    async def live_script(self, queue: str) -> str:
        """Return what `queue` gets now."""
        return await self._script(Draft(name=self.name), queue)

    async def _script(self, draft: Draft, queue: str) -> str:
        wanted = RenderRequest(**draft.model_dump(), queue=queue)
        async with self._client() as factory:
            return (await factory.post("/v1/render", wanted, Script)).text

    async def version(self, version: str) -> WrapperText:
        """Return a version, whole."""
        async with self._client() as factory:
            return await factory.get("/v1/wrapper", WrapperText, name=self.name, version=version)

    async def publish(self, draft: Draft, base: str, message: str) -> Action:
        """Publish a draft, or an old version. Raise Stale if another than `base` counts by now."""
        request = PublishRequest(**draft.model_dump(), base=base, message=message)
        async with self._client() as factory:
            return await factory.post("/v1/publish", request, Action, deadline=PUBLISH_S)
