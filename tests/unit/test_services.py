"""What runs for the settings, over reloads: no intent is looked for while it may still arrive."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from core.model.submission import Intent, IntentState
from core.run.generation import render_wrappers
from core.run.opening import State, open_state
from core.run.outstanding import Outstanding
from core.run.pilots import pilot_job, prepare_job
from core.run.services import Services
from core.run.submission import Order, Submitter, ids_for
from core.run.writer import Writer
from core.settings.load import load
from core.settings.schema import Settings
from core.state import clock
from plugins.local import pilots
from tests.running import local_settings

QUEUE = "[queues.Q]\n"


class Running(NamedTuple):
    """Services at work, as in a factory that makes no passes."""

    folder: Path
    state: State
    services: Services

    def adopt(self, settings: Settings) -> None:
        self.services.adopt(settings, render_wrappers(settings))

    @property
    def submitter(self) -> Submitter:
        return self.services.generation.submitters["here", "local"]

    def order(self, n: int) -> None:
        """Order pilots of Q as a pass does."""
        generation = self.services.generation
        queue, wrapper = generation.settings.queues["Q"], generation.wrappers["Q"]
        job = pilot_job(generation.settings.factory, self.state.instance, queue, wrapper)
        prepare_job(job, wrapper)
        self.submitter.order(
            Order("Q", n, job, {}, cycle=1, wrapper=wrapper.file_name, submissions=ids_for(n))
        )

    @property
    def found(self) -> list[IntentState]:
        return [i.state for i in self.state.reader.newest(10)]


def settings_of(folder: Path, queues: str, period: str = "0.2") -> Settings:
    (folder / "payloads").mkdir(exist_ok=True)
    (folder / "pilots").mkdir(exist_ok=True)
    config = folder / "factory.toml"
    text = local_settings(queues, batch="slots = 1\nsubmit_deadline = 20")
    config.write_text(text.replace("period = 0.2", f"period = {period}"))
    return load(config)


@asynccontextmanager
async def running(folder: Path, queues: str) -> AsyncIterator[Running]:
    settings = settings_of(folder, queues)
    state = await open_state(settings.factory, "console")
    outstanding = Outstanding(state.reader.recent(0.0))
    services = Services(settings, state, outstanding, Writer(), lambda: None)
    try:
        async with anyio.create_task_group() as tasks:
            services.start(tasks)
            with anyio.fail_after(20):
                for submitter in services.generation.submitters.values():
                    await submitter.swept.wait()
            yield Running(folder, state, services)
            await services.finish()
            tasks.cancel_scope.cancel()
    finally:
        state.reader.close()
        state.ledger.close()
        state.lock.release()


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not true():
            await anyio.sleep(0.01)


async def test_a_queue_gone_and_back_does_not_have_its_submission_taken_for_absent(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, QUEUE) as one:
        first = one.submitter
        write, stopped = first.books.write, list[int]()

        async def write_and_stop_the_worker(intents: Sequence[Intent]) -> None:
            await write(intents)
            assert first.worker.pid is not None
            stopped.append(first.worker.pid)
            os.kill(stopped[0], signal.SIGSTOP)

        first.books.write = write_and_stop_the_worker  # type: ignore[method-assign]
        one.order(2)
        await until(lambda: bool(stopped))
        one.adopt(settings_of(tmp_path, ""))
        await anyio.sleep(0.1)
        one.adopt(settings_of(tmp_path, QUEUE))
        await anyio.sleep(1.5)  # long enough to look
        assert one.found == [IntentState.INTENT]
        os.kill(stopped[0], signal.SIGCONT)
        await until(lambda: one.found == [IntentState.CONFIRMED])


ELSEWHERE = """batch = "second"
[queues.R]
[batch.second]
plugin = "local"
path = "second"
"""


@pytest.mark.parametrize(
    "now",
    [f"{QUEUE}paused = true\n", f"{QUEUE}drain = true\n", QUEUE + ELSEWHERE, "[queues.R]\n"],
    ids=["paused", "draining", "elsewhere", "gone"],
)
async def test_an_order_that_still_waits_when_its_queue_is_stopped_or_leaves_is_not_sent(
    tmp_path: Path, now: str
) -> None:
    """It may wait behind others for minutes, while their batch system hangs."""
    async with running(tmp_path, QUEUE) as one:
        one.order(1)
        await until(lambda: one.found == [IntentState.CONFIRMED])
        pid = one.submitter.worker.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        one.order(2)
        await until(lambda: one.submitter.ordered("Q"))
        first = one.submitter
        one.adopt(settings_of(tmp_path, now))
        assert one.submitter is first
        os.kill(pid, signal.SIGCONT)
        await until(lambda: not one.submitter.busy)
        assert one.found == [IntentState.CONFIRMED]
        assert len(list(pilots.live(tmp_path / "pilots"))) <= 1
        one.adopt(settings_of(tmp_path, QUEUE))
        one.order(3)
        await until(lambda: one.found == [IntentState.CONFIRMED] * 2)


async def test_an_outcome_is_found_though_no_queue_names_the_batch_system_any_more(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, QUEUE) as one:
        lost = Intent(
            submission=str(uuid.uuid4()),
            queue="Q",
            batch="here",
            submit_plugin="local",
            schedd=pilots.schedd(tmp_path / "pilots"),
            n=1,
            epoch=one.state.epoch,
            cycle=1,
            wrapper="w",
            description="",
            state=IntentState.INTENT,
            at=clock.wall(),
            boottime=clock.boottime(),
            boot_id=clock.boot_id(),
        )
        one.state.ledger.write_intents([lost])
    async with running(tmp_path, "") as one:
        await until(lambda: one.found == [IntentState.ABSENT])
        assert one.services.alarms() == []


async def test_a_source_that_is_replaced_leaves_no_process(tmp_path: Path) -> None:
    async with running(tmp_path, QUEUE) as one:
        source = one.services.generation.sources.wms["jobs"].source
        await source.polled.wait()
        pid = source.worker.pid
        assert pid is not None
        one.adopt(settings_of(tmp_path, QUEUE, period="0.3"))
        await until(lambda: not Path(f"/proc/{pid}").exists())
        assert one.services.generation.sources.wms["jobs"].source is not source
