"""The demo: a factory with payloads of its own in a temporary folder; all of it ends together.

`python -m apftui.demo` is the process that owns the folder while a console looks at it. Its
stdin is a pipe that the console holds: when it closes, however the console ended, the factory
stops, its pilots are removed and the folder is deleted.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apftui import payloads
from core.model.errors import ApftuiError
from core.model.text import clean

if TYPE_CHECKING:
    from core.run.factory import Factory

_SETTINGS = """\
# short and long run all that waits, a cap holds capped back, paused waits for somebody's word.
[factory]
name = "demo"
state = "state"
cycle = "2s"

[wms.files]
plugin = "directory"
path = "payloads"
period = "1s"

[batch.here]
plugin = "local"
path = "state/local"
slots = 8
period = "1s"
outcomes_period = "5s"

[defaults]
wms = "files"
batch = "here"
wrapper = "directory"
wrapper_parameters = { max_payloads = MOST }
chain = ["ready", "max-per-cycle", "max-pending"]
[defaults.sched.max-per-cycle]
maximum = 4
[defaults.sched.max-pending]
maximum = 10

[queues.short]

[queues.long]
chain = ["ready", "scale", "max-per-cycle", "max-pending"]
[queues.long.sched.scale]
factor = 0.5

[queues.capped]
[queues.capped.sched.max-pending]
maximum = 1

[queues.paused]
paused = true
"""
_SECONDS = {"short": 1, "long": 4, "capped": 2, "paused": 1}
"""Queue: how long each of its payloads takes."""
_AT_START = {"short": 6, "long": 3, "capped": 6}
_EVERY = {"short": 1, "long": 4, "capped": 1}
"""Queue: seconds between two payloads that are added while a demo without an end runs."""
_WAITING = 40
"""No more are added to a queue in which so many wait."""
_END_S = 60.0


def run_headless(cycles: int | None, as_json: bool) -> None:
    """Run the demo without a console: until SIGTERM, or a finite set of payloads in N passes.

    Raise ApftuiError if some of that set are not done at the end.
    """
    from core.api.serve import set_up_log

    with _folder(endless=cycles is None) as folder:
        set_up_log(None, as_json)
        asyncio.run(_life(folder, cycles, lambda _: None))
        done, pilots = payloads.count(folder / "payloads", "done"), _pilots(folder)
        total = sum(payloads.count(folder / "payloads", name) for name in payloads.FOLDERS)
    click.echo(f"{pilots} pilots ran {done} payloads")
    if cycles is not None and done < total:
        raise ApftuiError(f"{total - done} of {total} payloads are not done", "give it more cycles")


def run_console(read_only: bool) -> int:
    """Show the demo in the console; return the exit code when everything of it has ended."""
    from apftui.console.app import run_console as attach

    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "apftui.demo"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd="/",
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:
            socket = os.fsdecode(process.stdout.readline()).rstrip("\n")
            if not socket:
                process.wait()
                said.seek(0)
                words = clean(said.read().decode(errors="replace").strip())
                raise ApftuiError(f"the demo did not start: {words}")
            code = attach(Path(socket), read_only, goes_on=False)
        click.echo("the demo ends: its pilots and its folder are removed")
        process.wait(_END_S)
    return code


def own() -> None:
    """Own a demo that a console looks at: tell it the socket, and end when it is gone."""
    from core.api.serve import set_up_log
    from core.api.socket import find_socket

    def watch(factory: Factory) -> None:
        socket = find_socket(factory.generation.settings.factory, os.environ)
        sys.stdout.buffer.write(os.fsencode(socket) + b"\n")
        sys.stdout.buffer.flush()
        loop = asyncio.get_running_loop()

        def hear() -> None:
            if not os.read(0, 1024):
                loop.remove_reader(0)
                factory.stop()

        loop.add_reader(0, hear)

    with _folder(endless=True) as folder:
        state = folder / "state"
        state.mkdir(mode=0o700)
        set_up_log(state / "factory.log", as_json=False)
        try:
            asyncio.run(_life(folder, None, watch))
        except ApftuiError as error:
            sys.exit(str(error))


@contextmanager
def _folder(*, endless: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="apftui-demo-")).resolve()
    try:
        # Pilots of an endless demo end after one payload, so that there are new ones to see.
        settings = _SETTINGS.replace("MOST", "1" if endless else "0")
        (folder / "factory.toml").write_text(settings)
        for queue in _SECONDS:
            payloads.make_queue(folder / "payloads", queue)
        for queue, n in (*_AT_START.items(), *([("paused", 5)] if endless else [])):
            for number in range(n):
                _add(folder, queue, number)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _life(folder: Path, cycles: int | None, ready: Callable[[Factory], None]) -> None:
    from core.api.serve import run_factory
    from core.settings.load import read_layers

    feeding = asyncio.create_task(_feed(folder)) if cycles is None else None
    try:
        await run_factory(
            read_layers(folder / "factory.toml"),
            "demo",
            cycles=cycles,
            temporary=True,
            ready=ready,
        )
    finally:
        if feeding is not None:
            feeding.cancel()


async def _feed(folder: Path) -> None:
    for second in count(1):
        await asyncio.sleep(1.0)
        for queue, every in _EVERY.items():
            waiting = sum(1 for _ in (folder / "payloads" / queue / "new").iterdir())
            if second % every == 0 and waiting < _WAITING:
                _add(folder, queue, second + 100)


def _add(folder: Path, queue: str, number: int) -> None:
    payloads.add(folder / "payloads", queue, f"{queue}-{number:06}", f"sleep {_SECONDS[queue]}")


def _pilots(folder: Path) -> int:
    from core.model.submission import IntentState
    from core.run.on_disk import ledger

    with ledger(folder / "state") as reader:
        sent = reader.newest(1_000_000) if reader else []
    return sum(i.n for i in sent if i.state is IntentState.CONFIRMED)


if __name__ == "__main__":
    own()
