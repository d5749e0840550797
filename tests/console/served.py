"""A factory's API on a real socket that says what a test tells it: for faults and screens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, RootModel

from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    Decision,
    Effect,
    FactoryStatus,
    Hello,
    Parameters,
    ParametersRequest,
    Preview,
    Problem,
    QueueDetail,
    QueueParameters,
    QueueStatus,
    ReloadResult,
    Snapshot,
    UndoRequest,
    ValueChange,
)
from core.api.wrappers import (
    CheckResult,
    Draft,
    Fault,
    PublishRequest,
    RenderRequest,
    Script,
    VersionStatus,
    WrapperStatus,
    WrapperText,
)


class Served:
    """Serves `queues`; `tell()` after a change of them."""

    def __init__(self, factory: FactoryStatus, *queues: QueueStatus) -> None:
        self.factory = factory
        self.boot = factory.boot
        self.protocol = 1
        self.version = 1
        self.queues: dict[str, QueueStatus] = {}
        self.gone: dict[str, int] = {}
        self.details: dict[str, QueueDetail] = {}
        self.changes: list[ChangeRequest] = []
        self.reloads = 0
        self.polls = 0
        self.hangs = False
        self.refuse: tuple[int, Problem] | None = None
        self.parameters: dict[str, QueueParameters] = {}
        self.forms: tuple[dict[str, Any], ...] = ()
        self.actions: tuple[Action, ...] = ()
        self.undone: list[str] = []
        self.previews: list[ChangeRequest] = []
        self.previewing: Callable[[ChangeRequest], Awaitable[Preview]] = self._preview
        self.wrappers: tuple[WrapperStatus, ...] = ()
        self.templates: dict[tuple[str, str], str] = {}
        """By wrapper and version; "" is the one that counts."""
        self.faults: Callable[[Draft], tuple[Fault, ...]] = lambda draft: ()
        self.published: list[PublishRequest] = []
        self.changing: Callable[[ChangeRequest], None] = lambda request: None
        self._news = asyncio.Event()
        self.put(*queues)

    def put(self, *queues: QueueStatus) -> None:
        for queue in queues:
            self.version += 1
            self.queues[queue.name] = queue.model_copy(update={"version": self.version})
            self.gone.pop(queue.name, None)
        self.tell()

    def drop(self, *names: str) -> None:
        self.version += 1
        for name in names:
            del self.queues[name]
            self.gone[name] = self.version
        self.tell()

    def tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def hello(self, request: web.Request) -> web.Response:
        return _json(
            Hello(
                protocol=self.protocol,
                version=self.factory.version,
                boot=self.boot,
                config=self.factory.config,
                started_by=self.factory.started_by,
                name=self.factory.name,
                pid=self.factory.pid,
                you="op",
            )
        )

    async def snapshot(self, request: web.Request) -> web.Response:
        self.polls += 1
        while self.hangs:
            await asyncio.sleep(0.05)
        after, limit = int(request.query["after"]), int(request.query["limit"])
        full = request.query["boot"] != self.boot or after == 0
        if full:
            after = 0
        news = self._news
        if not full and after >= self.version:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), float(request.query["wait"]))
        newer = sorted(
            (q for q in self.queues.values() if q.version > after),
            key=lambda q: (q.version, q.name),
        )
        page = newer[:limit]
        more = len(page) < len(newer)
        return _json(
            Snapshot(
                boot=self.boot,
                version=page[-1].version if more else self.version,
                full=full,
                more=more,
                factory=self.factory,
                queues=tuple(page),
                gone=tuple(name for name, version in self.gone.items() if version > after),
            )
        )

    async def queue(self, request: web.Request) -> web.Response:
        name = request.query["name"]
        if name in self.details:
            return _json(self.details[name])
        if name not in self.queues:
            return _json(Problem(error=f"there is no queue {name}"), 404)
        empty = QueueDetail(
            status=self.queues[name], settings=(), decisions=(), intents=(), actions=()
        )
        return _json(empty)

    async def settable(self, request: web.Request) -> web.Response:
        asked = ParametersRequest.model_validate_json(await request.read())
        told = []
        for name in asked.queues:
            if name not in self.parameters:
                return _json(Problem(error=f"there is no queue {name}"), 404)
            queue = self.parameters[name]
            values = tuple(p for p in queue.values if not asked.keys or p.key in asked.keys)
            told.append(queue.model_copy(update={"values": values}))
        return _json(Parameters(queues=tuple(told), forms=self.forms, free={}))

    async def preview(self, request: web.Request) -> web.Response:
        asked = ChangeRequest.model_validate_json(await request.read())
        if self.refuse is not None:
            return _json(self.refuse[1], self.refuse[0])
        self.previews.append(asked)
        return _json(await self.previewing(asked))

    async def _preview(self, asked: ChangeRequest) -> Preview:
        """Say that nothing but the values would change."""
        touched: dict[str, list[ValueChange]] = {}
        for change in asked.changes:
            value = ValueChange(
                key=change.key, after=change.value, before_layer="queue", after_layer="override"
            )
            touched.setdefault(change.queue, []).append(value)
        effects = []
        for name, changed in touched.items():
            now = self.queues[name].decision or Decision(queue=name)
            effects.append(
                Effect(queue=name, due=True, before=now, after=now, values=tuple(changed))
            )
        return Preview(
            queues=tuple(effects),
            before=sum(e.before.submit for e in effects),
            after=sum(e.after.submit for e in effects),
        )

    async def preview_undo(self, request: web.Request) -> web.Response:
        asked = UndoRequest.model_validate_json(await request.read())
        if self.refuse is not None:
            return _json(self.refuse[1], self.refuse[0])
        action = next(a for a in self.actions if a.id == asked.action)
        changes = tuple(Change(queue=name, key="paused") for name in action.queues)
        return _json(await self.previewing(ChangeRequest(changes=changes)))

    async def undo(self, request: web.Request) -> web.Response:
        asked = UndoRequest.model_validate_json(await request.read())
        self.undone.append(asked.action)
        return _json(
            Action(id="fedcba98", at=0.0, by="op", what="undo", why=asked.why, state="applied")
        )

    async def list_actions(self, request: web.Request) -> web.Response:
        return _json(RootModel[tuple[Action, ...]](self.actions))

    async def change(self, request: web.Request) -> web.Response:
        asked = ChangeRequest.model_validate_json(await request.read())
        if self.refuse is not None:
            status, problem = self.refuse
            return _json(problem, status)
        self.changes.append(asked)
        self.changing(asked)
        what = ", ".join(f"{c.queue}: {c.key} = {c.value}" for c in asked.changes)
        return _json(
            Action(id="0123456789ab", at=0.0, by="op", what=what, why=asked.why, state="applied")
        )

    async def reload(self, request: web.Request) -> web.Response:
        self.reloads += 1
        return _json(ReloadResult(added=("NEW",)))

    async def list_wrappers(self, request: web.Request) -> web.Response:
        text = RootModel[tuple[WrapperStatus, ...]](self.wrappers).model_dump_json()
        return web.Response(text=text, content_type="application/json")

    async def wrapper(self, request: web.Request) -> web.Response:
        name, version = request.query["name"], request.query.get("version", "")
        live = next(w.version for w in self.wrappers if w.name == name)
        version = version or live
        if (name, version) not in self.templates:
            return _json(Problem(error=f"wrapper {name} has no version {version}"), 404)
        template = self.templates[name, version]
        return _json(
            WrapperText(
                name=name, version=version, sha256="", template=template, manifest="", steps={}
            )
        )

    async def render(self, request: web.Request) -> web.Response:
        asked = RenderRequest.model_validate_json(await request.read())
        live = next(w.version for w in self.wrappers if w.name == asked.name)
        template = asked.template or self.templates[asked.name, asked.version or live]
        return _json(Script(text=template.replace("(@{ command }@)", asked.queue), sha256=""))

    async def check(self, request: web.Request) -> web.Response:
        asked = Draft.model_validate_json(await request.read())
        users = next(w.queues for w in self.wrappers if w.name == asked.name)
        return _json(CheckResult(faults=self.faults(asked), queues=users))

    async def publish(self, request: web.Request) -> web.Response:
        asked = PublishRequest.model_validate_json(await request.read())
        if self.refuse is not None:
            status, problem = self.refuse
            return _json(problem, status)
        self.published.append(asked)
        old = next(w for w in self.wrappers if w.name == asked.name)
        number = str(1 + max((int(v.version) for v in old.versions if v.at), default=0))
        made = VersionStatus(version=number, by="op", at=0.0, message=asked.message)
        template = asked.template or self.templates[asked.name, asked.version]
        self.templates[asked.name, number] = template
        new = old.model_copy(update={"version": number, "versions": (made, *old.versions)})
        self.wrappers = tuple(new if w is old else w for w in self.wrappers)
        what = f"publish wrapper {asked.name} {number}"
        return _json(
            Action(id="0123", at=0.0, by="op", what=what, why=asked.message, state="applied")
        )

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/hello", self.hello),
                web.get("/v1/snapshot", self.snapshot),
                web.get("/v1/queue", self.queue),
                web.get("/v1/actions", self.list_actions),
                web.post("/v1/parameters", self.settable),
                web.post("/v1/preview", self.preview),
                web.post("/v1/preview-undo", self.preview_undo),
                web.post("/v1/undo", self.undo),
                web.post("/v1/changes", self.change),
                web.post("/v1/reload", self.reload),
                web.get("/v1/wrappers", self.list_wrappers),
                web.get("/v1/wrapper", self.wrapper),
                web.post("/v1/render", self.render),
                web.post("/v1/check", self.check),
                web.post("/v1/publish", self.publish),
            ]
        )
        return app


def _json(model: BaseModel, status: int = 200) -> web.Response:
    body = model.model_dump_json(by_alias=True)
    return web.Response(text=body, status=status, content_type="application/json")


@asynccontextmanager
async def serving(served: Served, socket: Path) -> AsyncIterator[None]:
    """Answer on `socket` until the context ends; then nobody listens there."""
    socket.unlink(missing_ok=True)
    runner = web.AppRunner(served.application(), shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        yield
    finally:
        served.tell()
        await runner.cleanup()
