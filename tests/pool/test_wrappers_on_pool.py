"""Wrappers on the pool, from the key that is pressed to what condor_q tells of the jobs."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.terminal import Terminal

from .condor import CondorPool
from .factory_site import PoolSite

PILOTS = """
[queues.Q]
wrapper = "generic"
chain = ["fixed", "max-to-run"]
[queues.Q.wrapper_parameters]
command = ["/bin/sleep", "600"]
[queues.Q.sched.fixed]
pilots_per_cycle = 2
[queues.Q.sched.max-to-run]
maximum = {n}
"""


def test_a_wrapper_is_edited_published_and_rolled_back(pool: CondorPool, home: Path) -> None:
    with PoolSite(pool, PILOTS.format(n=2)) as at:
        try:
            factory = at.start()
            until(lambda: running(at) == 2, 60)
            old = factory.queue("Q").wrapper_sha
            assert hashes(at) == {old: 2}
            config = shlex.quote(str(at.config))
            command = f"{shlex.quote(sys.executable)} -m apftui --config {config}"
            with Terminal(command, 100, 40) as terminal:
                terminal.until("1/1", 60)
                terminal.press("w")
                terminal.until(lambda t: "‹edit›" in t and "✓ bash -n" in t)
                terminal.press("End", "Enter")
                terminal.type("# looks at the node twice")
                terminal.until(lambda t: "draft from shipped, kept" in t and "✓ bash -n" in t)
                publish(terminal, "the node is looked at twice")
                terminal.until("publish wrapper generic 1: applied")
                new = factory.queue("Q").wrapper_sha
                assert new != old
                more_pilots(at, 4)
                until(lambda: hashes(at) == {old: 2, new: 2}, 60)
                assert "looks at the node twice" in script(at, new)
                assert "looks at the node twice" not in script(at, old)

                terminal.press("F4", "Down")
                terminal.until(lambda t: "‹versions›" in t and "▌ shipped" in t)
                publish(terminal, "once is enough")
                terminal.until("publish wrapper generic 2 (again shipped): applied")
                assert factory.queue("Q").wrapper_sha == old
                more_pilots(at, 6)
                until(lambda: hashes(at) == {old: 4, new: 2}, 60)
            # All that were ever sent still run: none was touched.
            until(lambda: running(at) == 6, 60)
        finally:
            at.clean_up()


def publish(terminal: Terminal, message: str) -> None:
    """Answer the dialog: one queue uses it, so no number is asked for."""
    terminal.press("F8")
    terminal.until("Cancel")
    terminal.press("BTab")
    terminal.type(message)
    terminal.until(message)
    terminal.press("Tab", "Tab")
    terminal.press("Enter")


def more_pilots(at: PoolSite, n: int) -> None:
    factory = at.factories[-1]
    assert factory.change("Q", "sched.max-to-run.maximum", n)[0] == 200


def jobs(at: PoolSite) -> list[dict[str, Any]]:
    return at.jobs(at.pool.schedds[0], "APFWrapper", "JobStatus", "Cmd")


def hashes(at: PoolSite) -> Counter[str]:
    """Count the jobs by the wrapper that condor_q says they have."""
    return Counter(job["APFWrapper"] for job in jobs(at))


def running(at: PoolSite) -> int:
    return sum(job["JobStatus"] == 2 for job in jobs(at))


def script(at: PoolSite, sha: str) -> str:
    """Return what the jobs of a hash really start."""
    (path,) = {job["Cmd"] for job in jobs(at) if job["APFWrapper"] == sha}
    return Path(path).read_text()


def until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)
