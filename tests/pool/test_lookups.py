"""What a factory makes of submissions that it finds, or does not find, on a schedd."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.api.models import Intent, ResolveRequest

from .condor import CondorPool
from .factory_site import PoolSite, outcomes
from .htcondor_child import Child
from .htcondor_site import Site as Table
from .test_kill_matrix import QUEUE, N, settled, wait


@contextmanager
def site(pool: CondorPool, submit: str = "htcondor", queue: str = QUEUE) -> Iterator[PoolSite]:
    with PoolSite(pool, queue, submit=submit) as made:
        try:
            yield made
        finally:
            made.clean_up()


def test_a_stop_waits_for_the_submission_in_flight(pool: CondorPool) -> None:
    with site(pool, "htcondor-paused") as at:
        factory = at.start(env=at.paused("committed"))
        wait(lambda: at.reached("committed"), "the point committed")
        factory.signal(signal.SIGTERM)
        time.sleep(1)
        assert factory.process.poll() is None
        at.go_on()
        assert factory.ended() == 0
        again = at.start(env=at.paused())
        assert outcomes(again.intents()) == at.seen()


def test_an_operator_settles_what_a_schedd_never_answers(pool: CondorPool) -> None:
    with site(pool, "htcondor-paused") as at:
        factory = at.start(env=at.paused("written"))
        worker = wait(lambda: at.reached("written"), "the point written")
        (sending,) = factory.intents()
        early = {"submission": sending.submission, "state": "absent", "why": "too early"}
        code, answer = factory.call("POST", "/v1/resolve", early)
        assert code == 400
        assert "is just being sent" in answer["error"]
        pool.pause_schedd(pool.schedds[0])
        try:
            at.go_on()
            wait(lambda: None if worker in factory.children() else 0, "the end of the submitter")
            (intent,) = factory.intents()
            assert intent.state == "intent"
            assert factory.status().factory.unresolved == 1
            ask = ResolveRequest(submission=intent.submission, state="absent", why="schedd is gone")
            told = factory.post("/v1/resolve", ask, Intent)
            assert told.state == "absent"
            assert "schedd is gone" in told.detail
            assert "root" in told.detail  # who asked, by the socket's word
            assert factory.status().factory.unresolved == 0
        finally:
            pool.continue_schedd(pool.schedds[0])


def test_a_description_that_htcondor_cannot_use_is_said_and_nothing_is_there(
    pool: CondorPool,
) -> None:
    bad = QUEUE + '[queues.Q.submit]\nplugin = "htcondor"\nrequirements = "((("\n'
    with PoolSite(pool, bad) as at:
        try:
            factory = at.start()
            status = factory.until(lambda s: s.queues[0].state == "error", 30)
            assert "not submitted" in status.queues[0].reason
            assert "Parse error in expression" in status.queues[0].reason
            said = [i for i in factory.intents() if i.state != "intent"]
            assert {i.state for i in said} == {"absent"}
            assert "not on the schedd" in said[0].detail
            assert not at.seen()
        finally:
            at.clean_up()


def test_a_submission_that_stands_twice_loses_its_younger_cluster(pool: CondorPool) -> None:
    # With max-pending there would be more as soon as the first pilots run.
    with site(pool, queue=QUEUE.replace("max-pending", "max-to-run")) as at:
        factory = at.start()
        settled(at, factory)
        (intent,) = factory.intents()
        factory.kill()
        table = Table(pool).table()
        with Child("submit", table) as child:
            twin = child.submit(intent.schedd, intent.description, 3)
        factory = at.start()
        factory.until(lambda s: any("stood twice" in a for a in s.factory.alarms), 30)
        removed = {
            ad["ClusterId"] for ad in at.jobs(intent.schedd, "JobStatus") if ad["JobStatus"] == 3
        }
        assert removed == {int(twin.cluster)}
        alive = [ad for ad in at.jobs(intent.schedd, "JobStatus") if ad["JobStatus"] in (1, 2)]
        assert {str(ad["ClusterId"]) for ad in alive} == {intent.cluster}
        assert len(alive) == N


def test_a_schedd_that_forgot_what_it_confirmed_is_not_believed(pool: CondorPool) -> None:
    """Its "none" would be as wrong for the submission whose outcome is unknown."""
    with site(pool, "htcondor-paused") as at:
        factory = at.start(env=at.paused())
        factory.until(lambda _: "confirmed" in [i.state for i in factory.intents()], 60)
        (at.folder / "pause" / "written").touch()
        wait(lambda: at.reached("written"), "the point written")
        factory.kill()
        schedd = pool.schedds[0]
        pool.clear()
        history = pool.root / pool.run("condor_config_val", "HISTORY").strip().lstrip("/")
        for file in history.parent.glob("history*"):
            os.truncate(file, 0)  # the schedd has it open, and is other tests' too
        at.go_on()
        factory = at.start(env=at.paused())
        status = factory.until(lambda s: bool(s.factory.alarms), 30)
        assert "does not find submission" in status.factory.alarms[0]
        cycle = status.factory.cycle
        status = factory.until(lambda s: s.factory.cycle > cycle + 3, 30)
        assert status.factory.unresolved == 1
        assert not at.jobs(schedd)
