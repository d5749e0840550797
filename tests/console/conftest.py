"""What the console's tests share: a console on a served socket, and its screens as text."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from textual.pilot import Pilot

from apftui.console.app import ConsoleApp
from apftui.console.store import Link
from tests.console.scenes import NOON
from tests.console.served import Served, serving

SNAPSHOTS = Path(__file__).parent / "snapshots"
# Read before the environment is emptied: UPDATE_SNAPSHOTS=1 writes what the screens are now.
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"


class Console(NamedTuple):
    """A running console, the keys to it, and what it is served by."""

    app: ConsoleApp
    pilot: Pilot[None]
    served: Served

    @property
    def cursor(self) -> str | None:
        return self.app.overview.table.cursor

    @property
    def shown(self) -> list[str]:
        return [queue.name for queue in self.app.overview.table.shown]

    def text(self) -> str:
        return screen_text(self.app)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*("space" if char == " " else char for char in text))

    async def until(self, true: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait for `true()`; fail with the screen as it is if it does not come."""
        for _ in range(int(seconds / 0.02)):
            if true():
                await self.pilot.pause()
                return
            await self.pilot.pause(0.02)
        raise AssertionError(f"did not come within {seconds} s; the screen:\n{self.text()}")

    async def see(self, text: str, seconds: float = 10.0) -> None:
        await self.until(lambda: text in self.text(), seconds)


def screen_text(app: ConsoleApp) -> str:
    """Return the screen as the operator reads it."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


@pytest.fixture
def socket() -> Iterator[Path]:
    # Short: a Unix socket's path has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="apf") as folder:
        yield Path(folder) / "s"


@asynccontextmanager
async def console(
    served: Served,
    socket: Path,
    size: tuple[int, int] = (80, 24),
    *,
    read_only: bool = False,
    frozen: bool = True,
) -> AsyncIterator[Console]:
    """Run a console on `served`. `frozen`: no time goes by on its clocks."""
    async with serving(served, socket), opened(served, socket, size, read_only, frozen) as it:
        await it.until(lambda: it.app.store.link is Link.LIVE)
        await it.until(lambda: len(it.app.store.queues) == len(served.queues))
        yield it


@asynccontextmanager
async def opened(
    served: Served,
    socket: Path,
    size: tuple[int, int] = (80, 24),
    read_only: bool = False,
    frozen: bool = True,
) -> AsyncIterator[Console]:
    """Run a console, whether or not anybody serves the socket."""
    ticks = (lambda: 100.0) if frozen else asyncio.get_running_loop().time
    app = ConsoleApp(socket, read_only, ticks=ticks, wall=lambda: NOON)
    async with app.run_test(size=size) as pilot:
        yield Console(app, pilot, served)


@pytest.fixture
def same() -> Callable[[str, str], None]:
    """Compare a screen with the stored one of that name."""

    def compare(name: str, text: str) -> None:
        path = SNAPSHOTS / f"{name}.txt"
        if UPDATE:
            path.write_text(text)
        assert path.exists(), f"no snapshot {path.name}: UPDATE_SNAPSHOTS=1 writes it"
        assert text == path.read_text()

    return compare
