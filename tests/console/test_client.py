"""The API's client: every way to fail has its error and its cure."""

import asyncio
import os
from pathlib import Path

import pytest
from aiohttp import web

from core.api.client import Client, NoFactory
from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    Hello,
    Problem,
    QueueDetail,
    Snapshot,
    StopRequest,
)
from core.model.errors import ApftuiError, NotFound, Stale
from tests.console import scenes
from tests.console.served import Served, serving

REQUEST = ChangeRequest(changes=(Change(queue="Q", key="paused", value=True),))


def small() -> Served:
    return Served(scenes.factory(), *scenes.small())


async def test_reads_what_the_factory_says(socket: Path) -> None:
    served = small()
    async with serving(served, socket), Client(socket) as factory:
        assert (await factory.get("/v1/hello", Hello)).name == "cern-01"
        page = await factory.get("/v1/snapshot", Snapshot, boot="", after=0, wait=1, limit=200)
        assert page.full
        assert {q.name: q for q in page.queues} == served.queues
        name = "CERN-PROD_MCORE"
        assert (await factory.get("/v1/queue", QueueDetail, name=name)).status.name == name


async def test_a_queue_name_is_quoted(socket: Path) -> None:
    name = "a b&c=d?#/é%20+"
    served = Served(scenes.factory(), scenes.queue(name))
    async with serving(served, socket), Client(socket) as factory:
        assert (await factory.get("/v1/queue", QueueDetail, name=name)).status.name == name


async def test_nobody_listens(socket: Path) -> None:
    async with Client(socket) as factory:
        with pytest.raises(NoFactory) as error:
            await factory.get("/v1/hello", Hello)
    assert str(error.value) == f"no factory answers on {socket}; start one with `apftui`"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
async def test_a_socket_of_another_user(socket: Path) -> None:
    async with serving(small(), socket), Client(socket) as factory:
        socket.chmod(0)
        with pytest.raises(NoFactory, match="you may not use"):
            await factory.get("/v1/hello", Hello)


async def test_a_path_that_is_too_long() -> None:
    with pytest.raises(ApftuiError, match="longer than 107 bytes"):
        async with Client(Path("/" + "x" * 107)):
            pass


async def test_no_such_queue(socket: Path) -> None:
    async with serving(small(), socket), Client(socket) as factory:
        with pytest.raises(NotFound, match="there is no queue NOPE"):
            await factory.get("/v1/queue", QueueDetail, name="NOPE")


async def test_a_stale_change_comes_with_the_diff(socket: Path) -> None:
    served = small()
    served.refuse = (409, Problem(error="changed meanwhile", diff=("a: 1 → 2",)))
    async with serving(served, socket), Client(socket) as factory:
        with pytest.raises(Stale, match="changed meanwhile") as error:
            await factory.post("/v1/changes", REQUEST, Action)
    assert error.value.diff == ("a: 1 → 2",)


@pytest.mark.parametrize("status", [400, 403, 503])
async def test_other_refusals_say_what_the_factory_said(status: int, socket: Path) -> None:
    served = small()
    served.refuse = (status, Problem(error="the ledger is not writable; make room"))
    async with serving(served, socket), Client(socket) as factory:
        with pytest.raises(ApftuiError, match="the ledger is not writable; make room"):
            await factory.post("/v1/changes", REQUEST, Action)


async def answering(socket: Path, response: web.Response) -> web.AppRunner:
    async def answer(request: web.Request) -> web.Response:
        return response

    app = web.Application()
    app.add_routes([web.route("*", "/{any:.*}", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    return runner


async def test_an_answer_that_is_no_answer_of_ours(socket: Path) -> None:
    runner = await answering(socket, web.Response(status=500, text="\x1b[31moops"))
    async with Client(socket) as factory:
        with pytest.raises(ApftuiError, match=r"HTTP 500: \\x1b\[31moops"):
            await factory.get("/v1/hello", Hello)
    await runner.cleanup()


async def test_a_newer_factory_may_say_more(socket: Path) -> None:
    hello = small()
    told = Hello(version="2", boot="b", config="c", started_by="s", name="n", pid=1).model_dump()
    runner = await answering(socket, web.json_response(told | {"mood": "fine"}))
    async with Client(socket) as factory:
        assert (await factory.get("/v1/hello", Hello)).name == "n"
    await runner.cleanup()
    assert hello.factory.name == "cern-01"


async def test_an_answer_of_another_form(socket: Path) -> None:
    runner = await answering(socket, web.json_response({"version": 2}))
    async with Client(socket) as factory:
        with pytest.raises(ApftuiError, match="the factory's Hello is not understood"):
            await factory.get("/v1/hello", Hello)
    await runner.cleanup()


async def test_a_factory_that_hangs(socket: Path) -> None:
    served = small()
    served.hangs = True
    async with serving(served, socket), Client(socket) as factory:
        with pytest.raises(ApftuiError, match=r"no answer within 0\.2 s"):
            await factory.get(
                "/v1/snapshot", Snapshot, boot="", after=0, wait=0, limit=1, deadline=0.2
            )
        served.hangs = False


async def test_a_connection_that_breaks_leaves_the_outcome_open(socket: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_unix_server(cut, socket)
    async with Client(socket) as factory:
        with pytest.raises(ApftuiError, match="look whether it was done before you ask again"):
            await factory.tell("/v1/stop", StopRequest())
    server.close()
