"""The console as an operator uses it: in a terminal, on a real factory."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.local import pilots, removal
from tests.e2e.terminal import Terminal
from tests.running import Site, local_settings, sleepers
from tests.typed import apftui

APFTUI = f"{shlex.quote(sys.executable)} -m apftui"


STATES = ("● ok", "‖ paused", "▽ draining", "○ drained")


@pytest.fixture
def stopped(home: Path) -> Iterator[None]:
    yield
    apftui("stop", "--remove-pilots")


def put(queue: Path, name: str, seconds: int) -> None:
    draft = queue / "new" / f".{name}"
    draft.write_text(f"#!/bin/sh\nsleep {seconds}\n")
    draft.chmod(0o755)
    draft.rename(queue / "new" / name)


def row(text: str, name: str) -> str:
    return next((line for line in text.splitlines() if f" {name} " in line[:30]), "")


@pytest.mark.usefixtures("stopped")
def test_a_first_evening_start_watch_pause_leave_lose_the_line_and_come_back(home: Path) -> None:
    done = apftui("init")
    assert done.code == 0, done.err
    config = home / ".config/apftui/factory.toml"
    text = config.read_text()
    config.write_text(re.sub(r'cycle = "\d+s"', 'cycle = "1s"', text))
    (new,) = [p for p in home.rglob("new") if p.is_dir()]
    queue = new.parent
    with Terminal(APFTUI) as terminal:
        terminal.until("start it in the background? [Y/n]")
        terminal.press("Enter")
        terminal.until(lambda t: "● live" in t and "1 queue" in t)
        put(queue, "long", 600)
        terminal.until(lambda t: re.search(r"● ok +\d+ +0 +1 ", t) is not None, 60)
        terminal.press("p")
        terminal.until("Pause")
        terminal.type("night shift")  # into the reason; the focus is on Cancel until then
        terminal.until("Cancel")
        terminal.press("Escape")
        terminal.until(lambda t: "Cancel" not in t)
        assert "paused" not in terminal.text
        confirmed(terminal, "p", "night shift")
        terminal.until("‖ paused")
        terminal.press("q")
        end = time.monotonic() + 20
        while not terminal.closed and time.monotonic() < end:
            time.sleep(0.1)
        assert terminal.closed
    status = apftui("status", "--json").json
    pid = status["factory"]["pid"]
    assert status["queues"][0]["state"] == "paused"
    assert "night shift" in status["queues"][0]["reason"]
    assert status["queues"][0]["running"] == 1
    with Terminal(APFTUI) as terminal:
        terminal.until("‖ paused")
        terminal.kill()
    time.sleep(1)
    assert apftui("status", "--json").json["factory"]["pid"] == pid
    with Terminal(f"{APFTUI} --read-only", 200, 60) as terminal:
        terminal.until("‖ paused")
        terminal.until("RO")
        terminal.press("P")
        time.sleep(1)
        assert "Cancel" not in terminal.text


def confirmed(terminal: Terminal, key: str, why: str = "") -> None:
    """Press the key of a command and confirm it, with a reason."""
    terminal.press(key)
    terminal.until("Cancel")
    if why:
        terminal.press("BTab")
        terminal.type(why)
        terminal.until(why)
        terminal.press("Tab")
    terminal.press("Tab")
    terminal.press("Enter")
    terminal.until(lambda t: "Cancel" not in t)


def test_a_lost_factory_is_told_and_found_again(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]\n[queues.R]")) as site:
        factory = site.start()
        with Terminal(f"{APFTUI} --config {shlex.quote(str(site.config))}") as terminal:
            terminal.until("● live")
            terminal.press("j")
            before = terminal.until(lambda t: "2/2" in t)
            assert row(before, "R").startswith("▌")
            factory.kill()
            lost = terminal.until(lambda t: "STALE" in t or "lost" in t, 20)
            assert " RO " in lost
            terminal.press("p")
            time.sleep(0.5)
            assert "Cancel" not in terminal.text
            site.start()
            again = terminal.until("● live", 20)
            assert " RW " in again
            assert row(again, "R").startswith("▌")


def test_a_second_console_sees_what_the_first_one_does(tmp_path: Path) -> None:
    """At once, and with no key pressed there: passes are an hour apart."""
    text = local_settings(f"[queues.Q]\n{sleepers('S', 1)}").replace("cycle = 0.2", 'cycle = "1h"')
    with Site(tmp_path, text) as site:
        factory = site.start()
        factory.until(lambda _: factory.queue("S").running == 1)
        at = f"--config {shlex.quote(str(site.config))}"
        command = f"{APFTUI} {at}"
        with Terminal(command) as first, Terminal(command, 230, 60) as second:
            first.until(lambda t: "● live" in t and row(t, "S") != "")
            second.until(lambda t: "● live" in t and row(t, "S") != "")

            def seen(name: str, what: str, seconds: float = 5.0) -> None:
                second.until(lambda t: what in row(t, name), seconds)
                # Its next command is about what it sees itself.
                if what in STATES:
                    first.until(lambda t: what in row(t, name), seconds)

            confirmed(first, "p", "both see it")
            seen("Q", "‖ paused")
            seen("Q", "both see it")
            confirmed(first, "P")
            seen("Q", "● ok")
            first.press("j")
            confirmed(first, "D", "closes")
            seen("S", "▽ draining")
            seen("S", "1 pilot is left; drain set by ")
            seen("S", ": closes")
            for submission in pilots.live(site.pilots):
                removal.remove(submission.pilots())
            seen("S", "○ drained")
            confirmed(first, "P")
            seen("S", "● ok")

            assert apftui("queue", "pause", "Q", "--for", "6s", "--config", site.config).code == 0
            seen("Q", "‖ paused")
            seen("Q", "● ok", 11)
            site.write(text + "[queues.NEW]\n")
            confirmed(first, "C-r")
            seen("NEW", "● ok")
            assert factory.status().factory.cycle == 1


@pytest.mark.timeout(180)
def test_a_thousand_queues_while_j_is_held_down(tmp_path: Path) -> None:
    """At 30 keys a second, with every row changing: the cursor is where the keys put it."""
    queues = "\n".join(f"[queues.q{n:04d}]" for n in range(1000))
    with Site(tmp_path, local_settings(queues)) as site:
        site.write(site.config.read_text().replace("0.2", "1"))
        factory = site.start()
        with Terminal(f"{APFTUI} --config {shlex.quote(str(site.config))}", 200, 60) as terminal:
            terminal.until(lambda t: "1/1000" in t, 60)
            cycle = factory.status().factory.cycle
            began = time.monotonic()
            for number in range(300):
                terminal.press("j")
                time.sleep(max(0.0, began + (number + 1) / 30 - time.monotonic()))
            released = time.monotonic()
            text = terminal.until(lambda t: "301/1000" in t, 10)
            late = time.monotonic() - released
            assert row(text, "q0300").startswith("▌")
            assert late < 2.0, late
            assert factory.status().factory.cycle > cycle + 3
            slowest = 0.0
            for _ in range(20):
                asked = time.monotonic()
                factory.call("GET", "/v1/hello")
                slowest = max(slowest, time.monotonic() - asked)
            assert slowest < 1.0, slowest


def test_a_terminal_that_goes_away_ends_the_console_and_nothing_else(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        factory = site.start()
        marker = f"--config {site.config}"
        terminal = Terminal(f"{APFTUI} {marker}")
        terminal.until("● live")
        terminal.kill()
        end = time.monotonic() + 10
        while consoles(str(site.config)) and time.monotonic() < end:
            time.sleep(0.1)
        assert not consoles(str(site.config))
        assert factory.process.poll() is None


def consoles(config: str) -> list[str]:
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [a for a in listed.stdout.splitlines() if "-m apftui" in a and config in a]
