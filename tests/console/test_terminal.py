"""The console in a real terminal: which bytes reach it, and how it is left."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.console import scenes
from tests.console.served import Served, serving
from tests.console.test_hostile import EVIL, evil_queue

RUN = """
import fcntl, sys, termios
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # as in an ssh session: if it goes, SIGHUP comes
from apftui.console.app import run_console
sys.exit(run_console(Path(sys.argv[1])))
"""
ALTERNATE, ORDINARY = b"\x1b[?1049h", b"\x1b[?1049l"
# Starts an operating system command, clears the screen or sets a colour as EVIL does.
FOREIGN = re.compile(rb"\x1b\](?:0|52);|\x1b\[2J\x1b\[31m|owned\x07")


class Terminal:
    """What a process wrote to its terminal."""

    def __init__(self, master: int, process: asyncio.subprocess.Process) -> None:
        self.master = master
        self.process = process
        self.seen = b""

    def read(self) -> None:
        try:
            self.seen += os.read(self.master, 65536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self.master)

    async def see(self, text: bytes, seconds: float = 15.0) -> None:
        for _ in range(int(seconds / 0.05)):
            if text in self.seen:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no {text!r} in {self.seen[-2000:]!r}")

    def type(self, text: bytes) -> None:
        os.write(self.master, text)


@asynccontextmanager
async def terminal(socket: Path, **environment: str) -> AsyncIterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(socket),
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | environment,
    )  # fmt: skip
    os.close(slave)
    it = Terminal(master, process)
    asyncio.get_running_loop().add_reader(master, it.read)
    try:
        yield it
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if process.returncode is None:
            process.kill()
            await process.wait()
        with suppress(OSError):
            os.close(master)


async def test_hostile_text_never_reaches_the_terminal_as_an_order(socket: Path) -> None:
    served = evil_queue(EVIL)
    async with serving(served, socket), terminal(socket) as it:
        await it.see(b"0;owned")
        it.type(b"\r")
        await it.see(b"Decision")
        it.type(b"G")
        await asyncio.sleep(0.3)
        it.type(b"qA")
        await it.see(b"Sources")
        it.type(b"qp")
        await it.see(b"Cancel")
        assert FOREIGN.search(it.seen) is None
        assert b"\x9b" not in re.sub(rb"[\xc2-\xf4][\x80-\xbf]+", b"", it.seen)


async def test_q_leaves_and_says_that_the_factory_goes_on(socket: Path) -> None:
    async with serving(Served(scenes.factory(), *scenes.small()), socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        it.type(b"q")
        assert await asyncio.wait_for(it.process.wait(), 10) == 0
        await it.see(b"the factory goes on: pid 4711; `apftui` attaches again")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
async def test_a_signal_leaves_the_terminal_as_it_was(
    number: signal.Signals, code: int, socket: Path
) -> None:
    async with serving(Served(scenes.factory(), *scenes.small()), socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        it.process.send_signal(number)
        assert await asyncio.wait_for(it.process.wait(), 10) == code
        await it.see(ORDINARY)
        assert it.seen.rindex(ORDINARY) > it.seen.rindex(ALTERNATE)
        assert it.seen.rindex(b"\x1b[?1000l") > it.seen.rindex(b"\x1b[?1000h"), "mouse reports"
        assert b"\x1b[?25h" in it.seen[it.seen.rindex(ORDINARY) - 200 :], "the cursor is shown"


async def test_a_closed_terminal_ends_the_console(socket: Path) -> None:
    async with serving(Served(scenes.factory(), *scenes.small()), socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        asyncio.get_running_loop().remove_reader(it.master)
        os.close(it.master)
        await asyncio.wait_for(it.process.wait(), 10)


async def test_no_color_means_none(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.small())
    async with serving(served, socket), terminal(socket, NO_COLOR="1") as it:
        await it.see(b"CERN-PROD_MCORE")
        it.type(b"jp")
        await it.see(b"Cancel")
        codes = set(b";".join(re.findall(rb"\x1b\[([\d;]*)m", it.seen)).split(b";"))
        assert codes <= {b"", b"0", b"1", b"2", b"7", b"39", b"49"}, codes
        assert b"7" in codes, "the cursor's line is reversed"


async def test_keys_typed_ahead_go_where_they_were_meant_to_go(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.small())
    async with serving(served, socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        it.type(b"\rq/paris\r")  # open, back, filter: no q may hit the overview, no p the table
        await it.see(b"no queue fits the filter paris")
        assert it.process.returncode is None
        it.type(b"\x1b")
        await it.see(b"BNL_PROD")
        it.type(b"gp\r")  # Cancel
        await asyncio.sleep(0.5)
        it.type(b"p\x1b[Awhile the SE is down\r")
        await it.see(b"down")
        await asyncio.sleep(0.5)
        assert served.changes == [], "to say why is not yet to say yes"
        it.type(b"\r")
        await it.see(b"(action 01234567)")
        (request,) = served.changes
        assert request.why == "while the SE is down"
        assert [change.queue for change in request.changes] == ["BNL_PROD-gridgk01"]


async def test_backspace_takes_away_the_letter_before_it_and_not_one_after(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.small())
    async with serving(served, socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        for _ in range(10):
            it.type(b"/cern\x7f\x7f\x7f\x7fparis")
            await it.see(b"fits the filter paris;")
            it.seen = b""
            it.type(b"\x1b")
            await it.see(b"CERN-PROD_MCORE")
            it.seen = b""


async def test_a_parameter_typed_ahead_is_reviewed_with_what_was_typed(socket: Path) -> None:
    served = Served(scenes.factory(), scenes.queue("Q", 9, 9, 9))
    served.forms, served.parameters["Q"] = scenes.FORMS, scenes.parameters("Q")
    async with serving(served, socket), terminal(socket) as it:
        await it.see(b"Q ")
        it.type(b"ejj")  # before anything is there to move in
        await it.see(b"max-pending.maximum")
        it.type(b"j\r\x7f\x7f\x7f300\r\x13")
        await it.see(b"Apply 1 parameter to Q?")
        it.type(b"\x1b[Zroom\x1b[Z2h\t\t\t\r")  # back to the reason, to the expiry, and on
        await it.see(b"(action 01234567)")
        (request,) = served.changes
        assert request.why == "room"
        assert request.until is not None
        (change,) = request.changes
        assert (change.key, change.value) == ("sched.max-pending.maximum", 300)


async def test_escape_is_quick(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.small())
    async with serving(served, socket), terminal(socket) as it:
        await it.see(b"CERN-PROD_MCORE")
        it.type(b"?")
        await it.see(b"Move")
        it.seen = b""
        it.type(b"\x1b")
        # Textual's own wait for the rest of a sequence would be 100 ms longer than ours.
        await it.see(b"CERN-PROD_MCORE", seconds=5)
