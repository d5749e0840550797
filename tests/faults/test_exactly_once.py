"""Kills at random moments of submissions: every pilot is there once, and the ledger says so."""

import contextlib
import os
import random
import signal
import sqlite3
import time
import uuid
from pathlib import Path

import pytest

from core.model.submission import Intent, IntentState
from core.state import clock
from core.state.ledger import Ledger, LedgerReader
from plugins.local import pilots
from tests.running import Running, Site, local_settings, sleepers

# One slot: what is submitted waits, so that hundreds of pilots cost folders and no processes.
EVERY_PASS = """
[queues.E]
wrapper = "generic"
chain = ["fixed"]
[queues.E.wrapper_parameters]
command = ["sleep", "600"]
[queues.E.sched.fixed]
pilots_per_cycle = 20
"""
SETTINGS = local_settings(EVERY_PASS, batch="slots = 1", factory="").replace(
    "cycle = 0.2", "cycle = 0.1"
)

ROUNDS = int(os.environ.get("APFTUI_TEST_ROUNDS", "1"))
KILLS = 14 * ROUNDS


def ledger(site: Site) -> dict[str, Intent]:
    reader = LedgerReader.open(site.state)
    try:
        return {i.submission: i for i in reader.newest(100_000)}
    finally:
        reader.close()


def wait_for_intent(site: Site, known: set[str], seconds: float = 10.0) -> None:
    """Return as soon as an intent is written that was not there before."""
    reader = LedgerReader.open(site.state)
    try:
        end = time.monotonic() + seconds
        while {i.submission for i in reader.newest(3)} <= known:
            assert time.monotonic() < end, "no submission is made any more"
    finally:
        reader.close()


def submitters(factory: Running) -> list[int]:
    """Return the workers that hold the submit lock."""
    lock = factory.site.state / "submit.lock"
    found = []
    for pid in factory.children():
        try:
            opened = [fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if lock in opened:
            found.append(pid)
    return found


def agree(site: Site) -> None:
    """The ledger and what `local` has ever seen are the same, submission by submission."""
    found = {s.job.submission: s for s in pilots.live(site.pilots)}
    found |= {s.job.submission: s for s in pilots.live(site.pilots / "ended")}
    known = ledger(site)
    assert {s: i.state for s, i in known.items()} == {
        s: IntentState.CONFIRMED if s in found else IntentState.ABSENT for s in known
    }
    assert found.keys() <= known.keys()
    for submission, of in found.items():
        assert len([p for p in of.pilots() if p.is_dir()]) == known[submission].n


@pytest.mark.timeout(180 * ROUNDS)
def test_kills_at_random_moments_and_nothing_is_doubled_or_forgotten(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # pytest shows it if this fails
    rng = random.Random(seed)
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        for kill in range(KILLS):
            victims = submitters(factory)
            wait_for_intent(site, set(ledger(site)))
            time.sleep(rng.choice([0, rng.uniform(0, 0.02), rng.uniform(0, 0.1)]))
            if kill % 5 == 4:
                factory.kill()
                factory = site.start()
                continue
            for pid in victims or submitters(factory):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        before = len(ledger(site))
        factory.until(lambda _: len(ledger(site)) > before + 1)
        assert factory.change("E", "paused", True)[0] == 200
        factory.settled()
        assert factory.status().factory.alarms == ()
        assert factory.stop() == 0
        agree(site)
        states = [i.state for i in ledger(site).values()]
        details = {i.detail for i in ledger(site).values()}
        assert states.count(IntentState.CONFIRMED) > 5
        # If no kill ever hit an open submission this proved nothing.
        assert any("the schedd" in detail for detail in details), details


def test_a_stop_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    queues = "".join(
        EVERY_PASS.replace("queues.E", f"queues.{q}").replace("= 20", "= 300") for q in "ABC"
    )
    settings = local_settings(queues, batch="slots = 1")
    with Site(tmp_path, settings) as site:
        factory = site.start()
        wait_for_intent(site, set())
        assert factory.stop() == 0
        agree(site)
        assert all(
            i.detail in ("", "the factory stopped before it was sent")
            for i in ledger(site).values()
        )


def intent_of(site: Site, queue: str, *, days_ago: float) -> Intent:
    return Intent(
        submission=str(uuid.uuid4()),
        queue=queue,
        batch="here",
        submit_plugin="local",
        schedd=pilots.schedd(site.pilots),
        n=7,
        epoch=1,
        cycle=1,
        wrapper="w",
        description="",
        state=IntentState.INTENT,
        at=clock.wall() - days_ago * 86400,
        boottime=clock.boottime(),
        boot_id="another boot",
    )


def test_an_intent_that_cannot_be_settled_blocks_its_queue_until_an_operator_speaks(
    tmp_path: Path,
) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 2) + sleepers("T", 1))) as site:
        site.state.mkdir(mode=0o700)
        books = Ledger(site.state)
        # Older than what `local` keeps of ended pilots: not finding it says nothing.
        old, fresh = intent_of(site, "S", days_ago=8), intent_of(site, "T", days_ago=0)
        books.write_intents([old, fresh])
        books.close()
        factory = site.start()
        # The other queue's was never sent, which is found out, and it goes on.
        factory.until(lambda s: s.queues[1].running == 1)
        status = factory.until(lambda s: s.factory.cycle > 4)
        assert status.factory.unresolved == 1
        assert ledger(site)[fresh.submission].state is IntentState.ABSENT
        row = status.queues[0]
        assert (row.pending, row.running, row.batch.in_flight) == (0, 0, 7)
        assert row.decision is not None
        assert (row.decision.submit, row.decision.bound_by) == (0, "max-to-run")
        code, answer = factory.call(
            "POST",
            "/v1/resolve",
            {"submission": old.submission, "state": "absent", "why": "host reinstalled"},
        )
        assert code == 200
        assert answer["state"] == "absent"
        factory.until(lambda s: s.queues[0].running == 2)
        told = ledger(site)[old.submission]
        assert told.state is IntentState.ABSENT
        assert "host reinstalled" in told.detail
        assert "by the word of" in told.detail
        assert factory.status().factory.unresolved == 0


def test_another_number_than_was_asked_for_stops_the_queue_with_an_alarm(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 2))) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[0].running == 2)
        (sent,) = factory.settled()
        factory.kill()
        with sqlite3.connect(site.state / "state.db") as database:
            database.execute("update intents set n = 5, state = 'intent'")
        again = site.start()
        status = again.until(lambda s: s.queues[0].state == "error")
        said = "asked for 5 pilots once, the schedd has 2 in cluster"
        assert said in status.queues[0].reason
        assert any(said in alarm for alarm in status.factory.alarms)
        again.until(lambda s: s.factory.cycle > status.factory.cycle + 3)
        assert len(again.intents()) == 1
        assert again.stop() == 0
        again = site.start()  # it is an alarm after a restart too
        assert any(said in alarm for alarm in again.status().factory.alarms)
        body = {"submission": sent.submission, "state": "confirmed", "why": "2 it is"}
        assert again.call("POST", "/v1/resolve", body)[0] == 200
        again.until(lambda s: s.queues[0].state == "ok" and s.factory.alarms == ())
