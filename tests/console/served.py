"""A factory's API on a real socket that says what a test tells it: for faults and screens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from pydantic import BaseModel

from core.api.models import (
    Action,
    ChangeRequest,
    FactoryStatus,
    Hello,
    Problem,
    QueueDetail,
    QueueStatus,
    ReloadResult,
    Snapshot,
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

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/hello", self.hello),
                web.get("/v1/snapshot", self.snapshot),
                web.get("/v1/queue", self.queue),
                web.post("/v1/changes", self.change),
                web.post("/v1/reload", self.reload),
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
