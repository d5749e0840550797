"""Two operators at once, on one real factory: who is late is told, and both see the result."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.terminal import Terminal
from tests.running import Site, local_settings
from tests.typed import apftui

APFTUI = f"{shlex.quote(sys.executable)} -m apftui"
KEY = "sched.max-pending.maximum"


def shown(value: int, mark: str = " ") -> Callable[[str], bool]:
    """Tell whether the table has a value; the mark is * if somebody else changed it."""
    row = re.compile(rf"[▌ ]{re.escape(mark)}{re.escape(KEY)} +{value} ")
    return lambda text: row.search(text) is not None


def parameter(terminal: Terminal, value: str) -> None:
    """Open the parameters of the queue, and give KEY a new value."""
    terminal.until("● live")
    terminal.press("e")
    terminal.until(KEY)
    terminal.press("j", "j", "j", "j", "Enter")
    terminal.until(f"{KEY} = 100")
    terminal.press("BSpace", "BSpace", "BSpace")
    terminal.type(value)
    terminal.press("Enter")
    terminal.until("If applied now")


def test_the_late_one_is_refused_with_the_diff_and_both_see_the_result(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        site.start()
        command = f"{APFTUI} --config {shlex.quote(str(site.config))}"
        with Terminal(command) as first, Terminal(command, 200, 60) as second:
            parameter(first, "50")
            parameter(second, "70")
            for terminal in (first, second):
                terminal.press("C-s")
                terminal.until("Cancel")
            first.press("Right", "Enter")
            first.until("1 parameter of Q changed")
            first.until(shown(50))
            second.press("Right", "Enter")
            late = second.until("Nothing was changed")
            assert f"{KEY}: 100 (defaults) -> 50" in late
            second.press("Enter")
            seen = second.until("changed meanwhile: 100 → 50 by")
            assert "1 new" in seen, "what was typed is not lost"
            # Looked at, and decided again: now it is the first who sees another's change.
            second.press("C-s")
            second.until("50 → 70")
            second.press("Right", "Enter")
            second.until("1 parameter of Q changed")
            first.until("changed meanwhile: 50 → 70 by", 5)
            first.until(shown(70, "*"), 5)
            # Of the command line the consoles hear as quickly.
            at = ("--config", site.config)
            undo = apftui("actions", "--json", *at).json[0]["id"]
            assert apftui("undo", undo, *at).code == 0
            for terminal in (first, second):
                terminal.until("70 → 50", 5)


def test_pause_set_expiry_undo_and_reload_are_seen_at_once(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        at = ("--config", site.config)
        # Passes come once a minute: what is seen does not wait for them.
        site.write(site.config.read_text().replace("cycle = 0.2", "cycle = 60"))
        site.start()
        with Terminal(f"{APFTUI} --config {shlex.quote(str(site.config))}") as console:
            console.until("● ok")
            assert apftui("queue", "pause", "Q", "--for", "4s", *at).code == 0
            console.until("‖ paused", 3)
            console.until("● ok", 8)
            console.press("e")
            console.until(KEY)
            assert apftui("queue", "set", "Q", f"{KEY}=33", "--why", "night", *at).code == 0
            console.until(shown(33, "*"), 3)
            action = apftui("actions", "--json", *at).json[0]["id"]
            assert apftui("undo", action, *at).code == 0
            console.until(shown(100, "*"), 3)
            site.write(site.config.read_text().replace("maximum = 100", "maximum = 44"))
            assert apftui("reload", *at).code == 0
            console.until(shown(44, "*"), 3)
