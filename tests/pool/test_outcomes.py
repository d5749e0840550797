"""What became of pilots, held against HTCondor's own tools."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from core.model.answers import OutcomeCount as Count
from tests.running import Running

from .condor import CondorPool
from .factory_site import PoolSite
from .htcondor_child import Child
from .htcondor_site import Site, at
from .sandbox import until

NOWHERE = {"requirements": "false"}
EXIT_0, EXIT_3 = "#!/bin/sh\n", "#!/bin/sh\nexit 3\n"
KILLED = "#!/bin/sh\nkill -9 $$\n"


@pytest.fixture
def site(pool: CondorPool) -> Iterator[Site]:
    with at(pool) as site:
        yield site


def ended(site: Site) -> int:
    return len(site.queue("ClusterId", constraint="JobStatus == 3 || JobStatus == 4"))


def out_of_the_queue(site: Site) -> None:
    """Remove all jobs twice, which ends what leave_in_queue keeps; wait for the history."""
    site.rm()
    site.rm("-forcex")
    until(lambda: not site.queue("ClusterId"), "an empty queue", 30)


def test_every_end_is_done_or_failed_in_the_queue_and_in_the_history(
    site: Site, pool: CondorPool
) -> None:
    with site.child("submit") as submit, at(pool) as other:
        site.send(submit, 3, script=EXIT_0, queue="done")
        site.send(submit, 2, script=EXIT_3, queue="code")
        site.send(submit, 1, script=KILLED, queue="signal")
        waits = site.send(submit, 2, NOWHERE, queue="waiting")
        runs = site.send(submit, 1, queue="running")
        site.send(submit, 1, script=EXIT_0, queue="done", instance="there")
        other.send(submit, 1, script=EXIT_0, queue="done")
        until(lambda: len(site.queue("ClusterId", constraint="JobStatus == 2")) == 1, "it runs", 30)
        until(lambda: ended(site) == 7, "seven that ended by themselves", 30)
        with site.child("outcomes") as outcomes:
            by_themselves = (
                Count(queue="code", failed=2),
                Count(queue="done", done=3),
                Count(queue="signal", failed=1),
            )
            assert outcomes.outcomes(site.factory).counts == by_themselves
            site.tool("condor_rm", str(waits.cluster), str(runs.cluster))
            until(lambda: ended(site) == 10, "the removed ones", 30)
            counts = (
                *by_themselves[:2],
                Count(queue="running", failed=1),
                by_themselves[2],
                Count(queue="waiting", failed=2),
            )
            assert outcomes.outcomes(site.factory).counts == counts
            assert outcomes.outcomes(site.factory, "there").counts  # asked for by another name
        # Removing them all once more makes JobStatus 3 of those that were done.
        site.rm()
        with site.child("outcomes") as outcomes:
            assert outcomes.outcomes(site.factory).counts == counts
            out_of_the_queue(site)
            assert outcomes.outcomes(site.factory).counts == counts
        with site.child("outcomes") as afresh:
            assert afresh.outcomes(site.factory).counts == counts


def test_the_history_is_read_back_to_what_was_read_before(site: Site) -> None:
    def records(outcomes: Child) -> int:
        return int(outcomes.call("records_of_poll", site.factory, "here")[0])

    with site.child("submit") as submit, site.child("outcomes") as outcomes:
        site.send(submit, 20, NOWHERE)
        site.send(submit, 4, script=EXIT_0)
        until(lambda: ended(site) == 4, "pilots that ended", 30)
        out_of_the_queue(site)
        assert records(outcomes) == 24
        assert records(outcomes) == 0
        site.send(submit, 2, script=EXIT_0)
        until(lambda: ended(site) == 2, "pilots that ended", 30)
        assert records(outcomes) == 0
        assert outcomes.outcomes(site.factory).counts == (Count(queue="Q", done=6, failed=20),)
        out_of_the_queue(site)
        assert records(outcomes) == 2
        assert records(outcomes) == 0
        assert outcomes.outcomes(site.factory).counts == (Count(queue="Q", done=6, failed=20),)


def test_a_history_that_is_shorter_than_an_hour_says_so(site: Site, pool: CondorPool) -> None:
    with site.child("submit") as submit:
        site.send(submit, 2, script=EXIT_0)
        until(lambda: ended(site) == 2, "pilots that ended", 30)
    with site.child("outcomes") as outcomes:
        assert outcomes.outcomes(site.factory).note == ""  # they all are in the queue
        out_of_the_queue(site)
        assert outcomes.outcomes(site.factory).note == ""  # it has read from the beginning
    with site.child("outcomes") as outcomes:
        note = outcomes.outcomes(site.factory).note
        assert re.search(rf"history of {site.schedd} begins at \d\d:\d\d:\d\dZ", note)
    older(pool)
    with site.child("outcomes") as outcomes:
        answer = outcomes.outcomes(site.factory)
        assert (answer.note, answer.counts) == ("", (Count(queue="Q", done=2),))


def older(pool: CondorPool) -> None:
    """Put a copy of the first schedd's last record, of a day before, at its history's beginning."""
    path = pool.run("condor_config_val", "HISTORY").strip()
    last = pool.run("cat", path, user="root").split("\n*** ")[-2:]
    record = "\n*** ".join(last)
    record = record[record.index("\n") + 1 :] if record.startswith("Offset") else record
    record = re.sub(
        r"^(CompletionDate|EnteredCurrentStatus) = (\d+)$",
        lambda found: f"{found[1]} = {int(found[2]) - 86400}",
        record,
        flags=re.MULTILINE,
    )
    record = re.sub(r"^JobStatus = .*$", "JobStatus = 4", record, flags=re.MULTILINE)
    put = 'cat - "$0" > "$0.new" && cat "$0.new" > "$0"'
    pool.run("sh", "-c", put, path, user="root", stdin=record)


TWO = """
[queues.A]
batch = "first"
[queues.B]
batch = "second"
[queues.C]
batch = "second"
"""


def numbers(factory: Running) -> dict[str, tuple[int | None, int | None]]:
    return {q.name: (q.done, q.failed) for q in factory.status().queues}


def test_two_schedds_tell_each_for_itself_and_again_after_a_restart(
    clean_pool: CondorPool,
) -> None:
    pool = clean_pool
    with PoolSite(pool, TWO, deadline=3.0, max_age=4.0, outcomes_period=1.0) as at:
        try:
            for number in range(4):
                at.payload("A", f"good{number}")
                at.payload("B", f"bad{number}", "exit 1" if number else "kill -9 $$")
            factory = at.start()
            factory.until(lambda _: len(at.payload_names("A", "done")) == 4, 60)
            factory.until(lambda _: len(at.payload_names("B", "failed")) == 4, 60)
            factory.quiet()
            truth = by_condor(at)
            assert truth["A"][0] >= 4
            assert truth["B"][1] >= 4
            truth["C"] = (0, 0)
            factory.until(lambda _: numbers(factory) == truth, 30)
            pool.pause_schedd(pool.schedds[0])
            try:
                factory.until(lambda _: numbers(factory)["A"] == (None, None), 30)
                now = numbers(factory)
                assert (now["B"], now["C"]) == (truth["B"], truth["C"])
                # Too old may come a moment before the deadline.
                factory.until(lambda _: state(factory, "first") == "failed", 15)
                assert state(factory, "second") == "fresh"
                factory.until(lambda _: factory.queue("A").pending is None, 15)
                assert factory.queue("B").pending == 0
            finally:
                pool.continue_schedd(pool.schedds[0])
            factory.until(lambda _: numbers(factory) == truth, 30)
            assert factory.stop() == 0
            factory = at.start()
            factory.until(lambda _: numbers(factory) == truth, 30)
        finally:
            at.clean_up()


def state(factory: Running, batch: str) -> str:
    """Return the state of a batch system's outcomes, once it says why it has none."""
    sources = factory.status().factory.sources
    (told,) = (s for s in sources if (s.kind, s.name) == ("outcomes", batch))
    assert "no answer" in (told.problem or "") or told.state != "failed"
    return told.state


def by_condor(at: PoolSite) -> dict[str, tuple[int, int]]:
    """Count done and failed by condor_q and condor_history."""
    codes: dict[str, dict[str, bool]] = {}
    mine = f'APFFactory == "{at.name}" && (JobStatus == 3 || JobStatus == 4)'
    attributes = ("GlobalJobId", "APFQueue", "ExitCode", "JobStatus")
    for schedd in at.pool.schedds:
        for tell in (at.pool.queue, at.pool.history):
            for ad in tell(schedd, mine, attributes):
                done = ad["JobStatus"] == 4 and ad.get("ExitCode") == 0
                codes.setdefault(ad["APFQueue"], {})[ad["GlobalJobId"]] = done
    return {q: (sum(of.values()), len(of) - sum(of.values())) for q, of in codes.items()}
