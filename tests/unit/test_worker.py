"""A worker process: it answers, or it is dead before anybody hears that it did not."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from core.model.answers import WmsAnswer
from core.model.errors import SourceError
from core.run.source import Source
from core.run.worker import CallFailed, Worker, WorkerLost
from core.settings.schema import SourceTiming

ANSWERS_IN = 20.0
"""Seconds for calls that are answered, on a busy machine."""


@pytest.fixture(autouse=True)
def third_party(extras: Path) -> Path:
    return extras


@asynccontextmanager
async def worker(does: str, **params: Any) -> AsyncIterator[Worker]:
    one = Worker("wms far", "wms", {"plugin": "unruly", "params": {"does": does, **params}})
    try:
        yield one
    finally:
        await one.close()


async def poll(one: Worker, deadline: float = ANSWERS_IN) -> str:
    answer = await one.call("poll", deadline, wanted=[])
    return str(answer["counts"][0]["query"]["queue"])


def gone(pid: int) -> bool:
    """Dead and reaped: not even a zombie."""
    return not Path(f"/proc/{pid}").exists()


def runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def test_calls_are_answered_by_one_process_one_after_another() -> None:
    async with worker("idle") as one:
        assert await poll(one) == "done"
        pid = one.pid
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(poll, one)
        assert one.pid == pid
        assert pid is not None
        assert runs(pid)
        assert await one.close() == -signal.SIGKILL
        assert gone(pid)
        assert await poll(one) == "done"


@pytest.mark.parametrize("does", ["sleep", "compute"])
async def test_at_the_deadline_it_is_dead_and_reaped_before_it_is_told(does: str) -> None:
    async with worker(does) as one:
        await one.call("upkeep", ANSWERS_IN)
        pid = one.pid
        assert pid is not None
        started = time.monotonic()
        with pytest.raises(WorkerLost) as lost:
            await poll(one, 0.3)
        assert gone(pid)
        assert time.monotonic() - started < 2
        assert lost.value.deadline
        assert str(lost.value) == "wms far: no answer to poll within 0.3 s"
        assert one.pid is None


async def test_what_it_says_at_every_call_does_not_fill_the_disk() -> None:
    async with worker("talk") as one:
        await poll(one)
        said = Path(f"/proc/{one.pid}/fd/2")
        once = said.stat().st_size
        assert once > 0
        for _ in range(3):
            await poll(one)
        assert said.stat().st_size == once


async def test_a_call_that_is_given_up_leaves_no_process() -> None:
    async with worker("sleep") as one:
        await one.call("upkeep", ANSWERS_IN)
        pid = one.pid
        assert pid is not None
        with anyio.move_on_after(0.2):
            await poll(one)
        assert gone(pid)


async def test_a_process_that_ends_tells_its_code_and_its_last_words() -> None:
    async with worker("exit") as one:
        with pytest.raises(WorkerLost) as lost:
            await poll(one)
        assert not lost.value.deadline
        assert str(lost.value) == (
            "wms far: its process ended during poll (exit code 7):"
            r" \x1b[31mlibfoo: abort\x1b[0m"
        )
        assert one.pid is None


async def test_what_a_plug_in_raises_is_told_clean_and_its_process_goes_on() -> None:
    async with worker("raise") as one:
        with pytest.raises(CallFailed) as failed:
            await poll(one)
        assert str(failed.value) == (r"RuntimeError: \x1b]52;c;aGk=\x07 [/x] \u202e\x0ano")
        pid = one.pid
        with pytest.raises(CallFailed):
            await poll(one)
        assert one.pid == pid
    async with worker("refuse") as one:
        with pytest.raises(SourceError) as unknown:
            await poll(one)
        assert str(unknown.value) == r"down\x1b[2J for repairs; wait\x0ahere"


async def test_what_a_library_prints_and_reads_stays_out_of_the_answers() -> None:
    async with worker("talk") as one:
        for _ in range(3):
            assert await poll(one) == "done"


async def test_a_huge_answer_arrives_and_a_monstrous_one_is_refused() -> None:
    async with worker("huge") as one:
        assert await poll(one) == "x" * 20_000_000
    async with worker("too-huge", upkeep="too-huge") as one:
        with pytest.raises(WorkerLost, match="answer to poll cannot be read: it has 68"):
            await poll(one)
        with pytest.raises(WorkerLost, match="answer to upkeep cannot be read: it has 68"):
            await one.call("upkeep", ANSWERS_IN)
        assert one.pid is None


async def test_a_plug_in_that_is_not_there_or_not_rightly_set() -> None:
    missing = Worker("wms far", "wms", {"plugin": "tallly", "params": {}})
    with pytest.raises(CallFailed, match=r"no wms plug-in 'tallly' is installed.*tally"):
        await missing.call("poll", ANSWERS_IN, wanted=[])
    assert missing.pid is None
    with pytest.raises(CallFailed, match="does"):
        async with worker("nothing") as one:
            await poll(one)
    assert one.pid is None


@pytest.mark.parametrize("upkeep", ["none", "paths", "too-huge"])
async def test_odd_upkeep_costs_no_poll(upkeep: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    timing = SourceTiming(period=60, deadline=ANSWERS_IN, max_age=60)
    async with worker("idle", upkeep=upkeep) as one:
        source = Source(one, timing, WmsAnswer, lambda: {"wanted": []})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.run, lambda: None)
            with anyio.fail_after(ANSWERS_IN):
                await source.polled.wait()
            tasks.cancel_scope.cancel()
        assert source.last is not None
        assert source.last.answer.counts[0].query.queue == "done"
    said = [record.getMessage() for record in caplog.records if record.name == "apftui.source"]
    assert len(said) == 1
    assert said[0].startswith("wms far: ")
    assert said[0].isprintable()


async def test_a_source_keeps_its_last_answer_and_says_what_is_wrong_now() -> None:
    timing = SourceTiming(period=60, deadline=ANSWERS_IN, max_age=60)
    async with worker("raise") as one:
        source = Source(one, timing, WmsAnswer, lambda: {"wanted": []})
        await source.poll()
        assert source.last is None
        assert (source.state(0), source.problem(0)) == ("failed", source.error)
        assert source.error == r"RuntimeError: \x1b]52;c;aGk=\x07 [/x] \u202e\x0ano"


PARENT = """
import sys, anyio
from core.run.worker import Worker

async def main():
    idle = Worker("idle", "wms", {"plugin": "unruly", "params": {"does": "idle"}})
    busy = Worker("busy", "wms", {"plugin": "unruly", "params": {"does": sys.argv[1]}})
    for worker in (idle, busy):
        await worker.call("upkeep", 20)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll, busy)
        await anyio.sleep(0.1)  # it has been asked
        print(idle.pid, busy.pid, flush=True)

async def poll(busy):
    await busy.call("poll", float(sys.argv[2]), wanted=[])

anyio.run(main)
"""


@pytest.fixture
def factory() -> Any:
    """Start processes that have an idle worker and a busy one; end them afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(does: str, deadline: float) -> tuple[subprocess.Popen[str], int, int]:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, does, str(deadline)], stdout=subprocess.PIPE, text=True
        )
        started.append(parent)
        assert parent.stdout is not None
        idle, busy = map(int, parent.stdout.readline().split())
        assert runs(idle)
        assert runs(busy)
        return parent, idle, busy

    yield start
    for parent in started:
        parent.kill()
        parent.wait()


def ended(pid: int) -> bool:
    return not runs(pid)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("does", ["sleep", "compute"])
def test_workers_die_with_a_killed_factory(factory: Any, does: str) -> None:
    parent, idle, busy = factory(does, 600)
    os.kill(parent.pid, signal.SIGKILL)
    assert within(1, lambda: ended(idle) and ended(busy))


def test_a_stopped_factory_does_not_let_a_call_outlive_its_deadline(factory: Any) -> None:
    """The kernel's timer ends it 2 s later, in a library's C code too."""
    stopped: dict[str, tuple[int, int, float]] = {}
    for does in ("sleep", "compute"):
        parent, idle, busy = factory(does, 1.0)
        os.kill(parent.pid, signal.SIGSTOP)
        stopped[does] = (idle, busy, time.monotonic())
    for does, (idle, busy, at) in stopped.items():
        assert within(at + 15 - time.monotonic(), functools.partial(ended, busy)), does
        assert runs(idle), "nobody asked it anything: it may live"
    assert time.monotonic() - at > 2, "the factory was not stopped, and killed them itself"
