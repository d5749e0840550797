"""The demo shows pilots at work, and all of it ends with whoever looked at it."""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.screen import Screen
from tests.typed import PROGRAM, apftui


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demo makes its folder: a short path, for there is a socket below it."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def processes(folder: Path) -> list[str]:
    """Return what runs in, or on, a folder: factories, workers' pilots, payloads."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "cmdline").read_bytes() + os.fsencode((entry / "cwd").readlink())
        except OSError:
            continue
        if os.fsencode(folder) in told:
            found.append(f"{entry.name} {told!r}")
    return found


def wait(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def test_headless_it_runs_its_finite_set_and_tells(temporary: Path) -> None:
    answer = apftui("--demo", "--no-ui", "--cycles", "5", seconds=110)
    assert answer.code == 0, answer.err
    told = re.search(r"^(\d+) pilots ran (\d+) payloads$", answer.out, re.MULTILINE)
    assert told is not None, answer.out
    assert int(told[1]) >= 3
    assert int(told[2]) == 15
    assert not list(temporary.iterdir())
    assert not processes(temporary)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_without_a_terminal_it_runs_until_it_is_told(
    temporary: Path, number: signal.Signals
) -> None:
    demo = subprocess.Popen(
        [*PROGRAM, "--demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    wait(lambda: bool(list(temporary.glob("*/payloads/*/running/*"))), "no pilot ever ran")
    demo.send_signal(number)
    out, _ = demo.communicate(timeout=40)
    assert demo.returncode == 0
    assert "pilots ran" in out
    assert not list(temporary.iterdir())
    assert not processes(temporary)


@pytest.mark.parametrize("end", ["q", "SIGKILL", "lost line"])
def test_it_ends_with_its_console(temporary: Path, end: str) -> None:
    with Screen("--demo") as screen:
        screen.until("capped")
        wait(lambda: bool(list(temporary.glob("*/payloads/*/running/*"))), "no pilot ever ran")
        held = sum(1 for _ in temporary.glob("*/payloads/paused/new/*"))
        if end == "q":
            screen.type("q")
            assert screen.ended(60) == 0
        elif end == "SIGKILL":
            screen.kill()
        else:
            screen.hang_up()
            screen.ended(60)
    assert held == 5, "the paused queue waits for somebody's word"
    wait(lambda: not list(temporary.iterdir()), "its folder is still there")
    wait(lambda: not processes(temporary), "something still runs", 5)


def test_what_hinders_it_is_told_in_one_line(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = temporary / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    with Screen("--demo") as screen:
        screen.until("more than the 107 that a Unix socket can have")
        assert screen.ended() == 1
        assert "Traceback" not in screen.text
