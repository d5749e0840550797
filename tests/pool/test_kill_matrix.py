"""Exactly once, whoever dies and whenever: factory, submitter and schedd, at each point.

Afterwards, for every APFSubmission: the jobs that were ever seen are 0 or n, the ledger says the
same number, and no intent is left open.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.running import Running

from .condor import CondorPool
from .factory_site import PoolSite, outcomes

POINTS = ("unwritten", "written", "connected", "committed", "confirmed")
VICTIMS = ("factory", "worker", "schedd")
N = 40
ROUNDS = int(os.environ.get("APFTUI_TEST_ROUNDS", "1"))

QUEUE = f"""
[queues.Q]
wrapper = "generic"
chain = ["fixed", "max-pending"]
[queues.Q.wrapper_parameters]
command = ["/bin/sleep", "600"]
[queues.Q.sched.fixed]
pilots_per_cycle = {N}
[queues.Q.sched.max-pending]
maximum = {N}
"""


@contextmanager
def site(pool: CondorPool) -> Iterator[PoolSite]:
    with PoolSite(pool, QUEUE, submit="htcondor-paused", submit_deadline=6.0) as made:
        try:
            yield made
        finally:
            made.clean_up()


@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("point", POINTS)
def test_whoever_dies_each_submission_is_there_whole_or_not_at_all(
    pool: CondorPool, point: str, victim: str, turn: int
) -> None:
    with site(pool) as at:
        factory = at.start(env=at.paused(point))
        worker = wait(lambda: reached(at, factory, point), f"the point {point}")
        kill(at, factory, victim, worker, point)
        (at.folder / "pause").mkdir(exist_ok=True)
        at.go_on()
        if victim == "schedd":
            pool.wait_schedd(pool.schedds[0])
        if victim == "factory":
            factory = at.start(env=at.paused())
        settled(at, factory)
        agree(at, factory)


def test_a_schedd_that_was_stopped_goes_on_when_a_new_factory_is_up(pool: CondorPool) -> None:
    """The old factory's submission may be in the schedd's buffers; nobody may guess."""
    with site(pool) as at:
        factory = at.start(env=at.paused("written"))
        wait(lambda: at.reached("written"), "the point written")
        pool.pause_schedd(pool.schedds[0])
        try:
            at.go_on()
            time.sleep(0.5)  # the submitter is inside its call to the stopped schedd
            factory.kill()
            factory = at.start(env=at.paused())
            open_intents = [i for i in factory.intents() if i.state == "intent"]
            assert [i.n for i in open_intents] == [N]
            time.sleep(2)
            row = factory.queue("Q")
            assert row.state == "blind"
            assert not [i for i in factory.intents() if i.state == "confirmed"]
        finally:
            pool.continue_schedd(pool.schedds[0])
        settled(at, factory)
        agree(at, factory)


def reached(at: PoolSite, factory: Running, point: str) -> int | None:
    if point != "confirmed":
        return at.reached(point)
    confirmed = [i for i in factory.intents() if i.state == "confirmed"]
    return next(iter(factory.children()), None) if confirmed else None


def kill(at: PoolSite, factory: Running, victim: str, worker: int, point: str) -> None:
    if point == "connected":
        time.sleep(random.uniform(0, 0.15))  # anywhere within the transaction
    if victim == "factory":
        factory.kill()
    elif victim == "schedd":
        at.pool.kill_schedd(at.pool.schedds[0])
    else:
        os.kill(worker, signal.SIGKILL)


def settled(at: PoolSite, factory: Running) -> None:
    """Wait until the factory sees N pilots and has no open intent."""

    def done(status: object) -> bool:
        row = factory.queue("Q")
        pilots = (row.pending or 0) + (row.running or 0) + (row.held or 0)
        return pilots >= N and not factory.status().factory.unresolved

    factory.until(done, 60)


def agree(at: PoolSite, factory: Running) -> None:
    assert factory.change("Q", "paused", True)[0] == 200
    cycle = factory.status().factory.cycle
    factory.until(lambda s: s.factory.cycle > cycle)  # an order of before is on its way by then
    factory.settled()
    said = outcomes(factory.intents())
    seen = at.seen()
    assert {s: n for s, n in said.items() if n} == seen
    assert N in seen.values()


def wait(true: Callable[[], int | None], what: str, seconds: float = 30) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := true()) is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} was not reached in {seconds} s")
