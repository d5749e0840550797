"""An operator in the console, with real pilots on a real schedd: watch, tweak, take it back."""

from __future__ import annotations

import re
import shlex
import sys
import time

from tests.e2e.terminal import Terminal
from tests.typed import apftui

from .condor import CondorPool
from .factory_site import PoolSite

KEY = "sched.max-pending.maximum"
QUEUES = """
[queues.OTHER]
chain = ["null"]
[queues.TWEAKED]
wrapper = "generic"
chain = ["ready", "max-pending"]
wrapper_parameters = {{ command = ["/bin/sleep", "600"] }}
submit = {{ requirements = "false" }}
[queues.TWEAKED.sched.max-pending]
maximum = {maximum}
"""


def pilots(at: PoolSite, n: int, seconds: float = 60.0) -> None:
    """Wait until so many pilots of the factory are in the schedd's queue."""
    end = time.monotonic() + seconds
    while (found := len(at.jobs(at.pool.schedds[0]))) != n:
        assert time.monotonic() < end, f"{found} pilots, not {n}"
        time.sleep(0.5)


def test_a_parameter_is_tweaked_with_the_preview_and_taken_back(clean_pool: CondorPool) -> None:
    with PoolSite(clean_pool, QUEUES.format(maximum=3)) as at:
        try:
            for number in range(9):
                at.payload("TWEAKED", f"job{number}")
            factory = at.start()
            pilots(at, 3)
            factory.until(lambda s: s.queues[1].pending == 3)
            config = ("--config", at.config)
            command = f"{shlex.quote(sys.executable)} -m apftui --config {at.config}"
            with Terminal(command, 100, 40) as terminal:
                terminal.until("● live")
                terminal.press("/")
                terminal.type("tweak")
                terminal.press("Enter")
                terminal.until(lambda t: "1/1 of 2" in t and "max-pending" in t)
                terminal.press("e")
                terminal.until(KEY)
                terminal.press("j", "j", "j", "j", "Enter")
                terminal.until(f"{KEY} = 3")
                terminal.press("BSpace")
                terminal.type("7")
                terminal.until("Next pass: submit 0 → 4, bound by max-pending")
                terminal.press("Enter", "C-s")
                terminal.until("3 → 7")
                terminal.until("Next pass: submit 0 → 4")
                terminal.press("BTab")
                terminal.type("site has room")
                terminal.press("BTab")
                terminal.type("2h")
                terminal.press("Tab", "Tab", "Tab", "Enter")
                terminal.until("1 parameter of TWEAKED changed")
                pilots(at, 7)
                (action, *_) = apftui("actions", "--json", *config).json
                you = factory.call("GET", "/v1/hello")[1]["you"]
                assert (action["by"], action["why"]) == (you, "site has room")
                assert 7000 < action["until"] - action["at"] <= 7200
                assert "site has room" in apftui("actions", *config).out
                # Pilots are never removed; the limit is back, and nothing more is sent.
                terminal.press("u")
                terminal.until("Undo your last change?")
                terminal.until(f"{KEY} 7 → 3")
                terminal.press("Right", "Enter")
                terminal.until("undone: ")
                terminal.until(lambda t: re.search(rf"{re.escape(KEY)} +3 ", t) is not None)
            values = factory.call("GET", "/v1/queue?name=TWEAKED")[1]["settings"]
            assert [v["value"] for v in values if v["key"] == KEY] == [3]
            pilots(at, 7)
        finally:
            at.clean_up()
