"""The control API: one table of routes, from which the OpenAPI document is made too."""

import grp
import logging
import os
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from anyio import to_thread
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from core.api import changes, wrappers
from core.api.models import (
    PROTOCOL,
    Action,
    Hello,
    Intent,
    Problem,
    QueueDetail,
    ReloadResult,
    ResolveRequest,
    Snapshot,
    Status,
    StopRequest,
)
from core.api.peer import Peer, peer_of
from core.api.route import Call, NoQuery, Route
from core.model.errors import ApftuiError, NotFound, SettingsError, Stale, StateError
from core.model.frozen import Frozen
from core.model.submission import IntentState
from core.model.text import clean
from core.run.actions import action
from core.run.explain import past_decisions
from core.run.factory import Factory
from core.state import clock

log = logging.getLogger("apftui.api")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_PEER = "peer"
_PAGE = 200
_LONGEST_WAIT_S = 60.0


class SnapshotQuery(Frozen):
    """Give back `boot` and `version` of the last answer to get only what is newer."""

    boot: str = ""
    after: int = 0
    wait: float = Field(default=0.0, ge=0, le=_LONGEST_WAIT_S)
    limit: int = Field(default=_PAGE, ge=1, le=1000)


class QueueQuery(Frozen):
    """Which queue, and how many of its past decisions."""

    name: str
    limit: int = Field(default=50, ge=1, le=1000)


class ListQuery(Frozen):
    """How many, newest first."""

    limit: int = Field(default=100, ge=1, le=10000)
    unresolved: bool = False


async def hello(call: Call) -> Hello:
    """Say who answers."""
    status = call.factory.status()
    return Hello(
        protocol=PROTOCOL,
        version=status.version,
        boot=call.factory.boot,
        config=status.config,
        started_by=status.started_by,
        name=status.name,
        pid=status.pid,
        you=str(call.peer),
    )


async def status(call: Call) -> Status:
    """Give everything at once."""
    queues, _ = call.factory.board.since(0, 1_000_000, clock.boottime())
    return Status(factory=call.factory.status(), queues=tuple(sorted(queues, key=lambda q: q.name)))


async def snapshot(call: Call) -> Snapshot:
    """Give what changed since a version; wait for it if nothing has."""
    query: SnapshotQuery = call.query
    board = call.factory.board
    full = query.boot != call.factory.boot or query.after <= 0 or query.after > board.version
    after = 0 if full else query.after
    if not full:
        await board.wait(after, query.wait)
    queues, more = board.since(after, query.limit, clock.boottime())
    return Snapshot(
        boot=call.factory.boot,
        version=queues[-1].version if more else board.version,
        full=full,
        more=more,
        factory=call.factory.status(),
        queues=tuple(queues),
        gone=() if full else board.gone(after),
    )


async def queue(call: Call) -> QueueDetail:
    """Give everything about one queue."""
    query: QueueQuery = call.query
    factory = call.factory
    found = factory.board.row(query.name)
    if found is None:
        raise NotFound(f"there is no queue {query.name}", "see `apftui queue list`")
    shown, _ = factory.board.since(found[0] - 1, 1, clock.boottime())
    settings = factory.generation.settings.queues.get(query.name)
    reader = factory.state.reader
    folder = factory.generation.settings.factory.state

    def read() -> QueueDetail:
        return QueueDetail(
            status=shown[0],
            settings=settings.values if settings else (),
            decisions=tuple(past_decisions(folder, reader, query.name, query.limit)),
            intents=tuple(reader.of_queue(query.name, query.limit)),
            actions=tuple(action(a) for a in reader.actions(1000) if _touches(a, query.name)),
        )

    return await to_thread.run_sync(read)  # a month of days, on a disk that may be slow


async def intents(call: Call) -> tuple[Intent, ...]:
    """List submissions, newest first."""
    reader = call.factory.state.reader
    if call.query.unresolved:
        return tuple(await to_thread.run_sync(reader.unresolved))
    return tuple(await to_thread.run_sync(reader.newest, call.query.limit))


async def actions(call: Call) -> tuple[Action, ...]:
    """List what operators did, newest first."""
    found = await to_thread.run_sync(call.factory.state.reader.actions, call.query.limit)
    return tuple(action(a) for a in found)


async def resolve(call: Call) -> Intent:
    """Say what became of a submission whose schedd never answers again."""
    body: ResolveRequest = call.body
    return await call.factory.resolve(
        body.submission, IntentState(body.state), by=str(call.peer), why=clean(body.why)
    )


async def reload(call: Call) -> ReloadResult:
    """Read the settings anew; a bad file changes nothing."""
    added, changed, removed = await call.factory.reload()
    return ReloadResult(added=tuple(added), changed=tuple(changed), removed=tuple(removed))


async def stop(call: Call) -> Hello:
    """Stop the factory when what is in flight has ended."""
    told = await hello(call)
    call.factory.stop(remove_pilots=call.body.remove_pilots, by=str(call.peer))
    return told


ROUTES = (
    Route("GET", "/v1/hello", NoQuery, None, Hello, hello),
    Route("GET", "/v1/status", NoQuery, None, Status, status),
    Route("GET", "/v1/snapshot", SnapshotQuery, None, Snapshot, snapshot),
    Route("GET", "/v1/queue", QueueQuery, None, QueueDetail, queue),
    Route("GET", "/v1/intents", ListQuery, None, tuple[Intent, ...], intents),
    Route("GET", "/v1/actions", ListQuery, None, tuple[Action, ...], actions),
    *changes.ROUTES,
    Route("POST", "/v1/resolve", NoQuery, ResolveRequest, Intent, resolve),
    Route("POST", "/v1/reload", NoQuery, None, ReloadResult, reload),
    Route("POST", "/v1/stop", NoQuery, StopRequest, Hello, stop),
    *wrappers.ROUTES,
)


class Server:
    """The API on a socket that was bound for it."""

    def __init__(self, factory: Factory, listener: socket.socket, path: Path) -> None:
        self._path = path
        self._allowed = _Allowed(factory.generation.settings.factory.socket_group)
        app = web.Application(client_max_size=4 * 1024 * 1024, middlewares=[self._guard])
        for route in ROUTES:
            app.router.add_route(route.method, route.path, _handler(factory, route))
        app.router.add_route("GET", "/v1/openapi.json", _openapi)
        # Signals are the factory's; a long poll must not keep it from ending.
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1)
        self._listener = listener

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._listener).start()

    async def close(self) -> None:
        """End, and take the socket away."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:  # a socket that stays is no hindrance to the next factory
            log.warning("cannot remove %s: %s", self._path, error.strerror)
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let in who may; whatever goes wrong is answered with a Problem."""
        peer = _peer(request)
        if peer is None or not self._allowed(peer.uid):
            who = f"uid {peer.uid}" if peer else "nobody"
            return _problem(403, f"{who} may not control this factory")
        request[_PEER] = peer
        try:
            return await handler(request)
        except (ApftuiError, ValidationError) as error:
            return _refusal(error)
        except web.HTTPException as error:
            what = f"{request.method} {request.path}: {error.reason}"
            return _problem(error.status, f"{what}; see GET /v1/openapi.json")
        except sqlite3.Error as error:
            return _problem(503, f"cannot read the state folder: {error}")
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            return _problem(500, f"{type(error).__name__}: {error}; see the factory's log")


def _handler(factory: Factory, route: Route) -> _Handler:
    answer: TypeAdapter[Any] = TypeAdapter(route.answer)

    async def handle(request: web.Request) -> web.StreamResponse:
        query = route.query.model_validate(dict(request.query), strict=False)
        body = await _body(request, route.body)
        result = await route.handler(Call(factory, request[_PEER], query, body))
        return web.Response(
            body=answer.dump_json(result, by_alias=True), content_type="application/json"
        )

    return handle


class _Allowed:
    """The factory's own user and root; with `socket_group` its members, whom the kernel let in."""

    def __init__(self, group: str | None) -> None:
        self._members = None if group is None else grp.getgrnam(group)

    def __call__(self, uid: int) -> bool:
        return uid in (os.geteuid(), 0) or self._members is not None


async def _body(request: web.Request, model: type[BaseModel] | None) -> Any:
    if model is None:
        return None
    return model.model_validate_json(await request.read() or b"{}")


def _peer(request: web.Request) -> Peer | None:
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport else None
    return peer_of(connection) if connection is not None else None


def _refusal(error: ApftuiError | ValidationError) -> web.Response:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        return _problem(400, clean(f"{where}: {first['msg']}", 300))
    if isinstance(error, Stale):
        return _problem(409, str(error), error.diff)
    codes: tuple[tuple[type[ApftuiError], int], ...] = (
        (NotFound, 404),
        (SettingsError, 400),
        (StateError, 503),
    )
    code = next((code for kind, code in codes if isinstance(error, kind)), 400)
    return _problem(code, str(error))


def _problem(code: int, text: str, diff: tuple[str, ...] = ()) -> web.Response:
    # All that is wrong with a settings file comes in lines.
    shown = "\n".join(clean(line) for line in text.split("\n"))
    body = Problem(error=shown, diff=diff).model_dump_json()
    return web.Response(status=code, body=body.encode(), content_type="application/json")


async def _openapi(_: web.Request) -> web.Response:
    return web.json_response(openapi())


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}

    def schema(kind: Any) -> dict[str, Any]:
        made = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(made.pop("$defs", {}))
        return made

    for route in ROUTES:
        query = schema(route.query)
        required = query.get("required", ())
        operation: dict[str, Any] = {
            "summary": (route.handler.__doc__ or "").strip(),
            "parameters": [
                {"name": n, "in": "query", "schema": s, "required": n in required}
                for n, s in query.get("properties", {}).items()
            ],
            "responses": {
                "200": {"description": "done", "content": _json(schema(route.answer))},
                "default": {"description": "refused", "content": _json(schema(Problem))},
            },
        }
        if route.body is not None:
            operation["requestBody"] = {"content": _json(schema(route.body))}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "apftui control API", "version": str(PROTOCOL)},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _touches(row: dict[str, Any], queue: str) -> bool:
    return any(change["queue"] == queue for change in row["before"])
