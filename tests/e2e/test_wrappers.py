"""Wrappers as an operator edits them: in a terminal, on a real factory."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.terminal import Terminal
from tests.running import Site, local_settings, sleepers
from tests.typed import apftui

PYTHON = shlex.quote(sys.executable)


def console(site: Site, **environment: str) -> str:
    """Return the command line of a console."""
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
    return f"{words} {PYTHON} -m apftui --config {shlex.quote(str(site.config))}"


def open_wrapper(terminal: Terminal, name: str) -> None:
    """Open a queue's wrapper from the list of queues."""
    terminal.until("● live")
    terminal.until("1/1")
    terminal.press("w")
    terminal.until(lambda t: f" {name} " in t and "✓ bash -n" in t)


def append(terminal: Terminal, text: str) -> None:
    """Type a line below the shebang: a comment is the same to bash wherever it stands."""
    terminal.press("End", "Enter")
    terminal.type(text)
    terminal.until(lambda t: text in t and "kept" in t and "✓ bash -n" in t)


def console_of(config: Path) -> int:
    """Return the process of the one console that was started with these settings."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True
    )
    rows = [row.split() for row in listed.stdout.splitlines()]
    wanted = ["-m", "apftui", "--config", str(config)]
    (pid,) = [int(row[0]) for row in rows if "python" in row[1] and row[2:] == wanted]
    return pid


def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_draft_survives_the_kill_of_its_console(tmp_path: Path, home: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 1))) as site:
        site.start()
        with Terminal(console(site)) as terminal:
            open_wrapper(terminal, "generic")
            append(terminal, "# all night long")
            os.kill(console_of(site.config), signal.SIGKILL)
            until(lambda: terminal.closed)
        (file,) = home.rglob("generic@shipped.sh")
        assert "# all night long\n" in file.read_text()
        with Terminal(console(site), 200, 60) as terminal:
            open_wrapper(terminal, "generic")
            text = terminal.until("this is your draft of")
            assert "# all night long" in text
            assert "✎ draft from shipped" in text


def test_another_editor_has_the_terminal_until_it_ends(tmp_path: Path) -> None:
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\necho "editing $2"; read answer; echo "# $answer" >>"$2"\n')
    editor.chmod(0o755)
    with Site(tmp_path / "site", local_settings(sleepers("S", 1))) as site:
        site.start()
        with Terminal(console(site, VISUAL=f"'{editor}' -x")) as terminal:
            open_wrapper(terminal, "generic")
            append(terminal, "# mine")
            terminal.press("C-e")
            terminal.until("editing ")
            terminal.type("by hand")
            terminal.press("Enter")
            terminal.until(lambda t: "✓ bash -n" in t and "# mine" in t)
            terminal.press("F7")
            text = terminal.until("+# by hand")
            assert "+# mine" in text
        with Terminal(console(site, VISUAL="/no/such/editor")) as terminal:
            open_wrapper(terminal, "generic")
            terminal.press("C-e")
            terminal.until("No such file or directory")
            terminal.press("F7")
            terminal.until("+# by hand")


def test_published_in_one_console_and_seen_in_another(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 1))) as site:
        factory = site.start()
        with Terminal(console(site)) as first, Terminal(console(site), 200, 60) as second:
            second.until("generic@shipped")
            open_wrapper(first, "generic")
            append(first, "# seen by both")
            publish(first, "both see it")
            first.until("publish wrapper generic 1: applied")
            second.until("generic@1", 5)
            second.press("w")
            second.until(lambda t: "1 counts" in t and "# seen by both" in t)
            second.press("F4")
            second.until("both see it")
        assert factory.queue("S").wrapper_version == "1"
        listed = apftui("wrappers", "list", "--config", site.config).out
        assert "both see it" in listed


def publish(terminal: Terminal, message: str) -> None:
    """Answer the dialog: one queue uses it, so no number is asked for."""
    terminal.press("F8")
    terminal.until("Cancel")
    terminal.press("BTab")
    terminal.type(message)
    terminal.until(message)
    terminal.press("Tab", "Tab")
    terminal.press("Enter")
