"""A factory with two schedds: real payloads, real pilots, and what it says when it cannot see."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from core.api.models import QueueStatus, ReloadResult
from core.model.text import clean
from tests.running import Running

from .condor import CondorPool
from .factory_site import PoolSite, status_counts

TWO = """
[queues.A]
batch = "first"
[queues.B]
batch = "second"
"""

SLEEPERS = """
[queues.{name}]
batch = "{batch}"
wrapper = "generic"
chain = ["fixed", "max-pending", "max-to-run"]
[queues.{name}.wrapper_parameters]
command = ["/bin/sleep", "600"]
[queues.{name}.sched.fixed]
pilots_per_cycle = {n}
[queues.{name}.sched.max-pending]
maximum = {n}
[queues.{name}.sched.max-to-run]
maximum = {n}
"""


def sleepers(name: str, n: int, batch: str = "first") -> str:
    return SLEEPERS.format(name=name, n=n, batch=batch)


@contextmanager
def site(pool: CondorPool, queues: str, **more: object) -> Iterator[PoolSite]:
    with PoolSite(pool, queues, **more) as made:  # type: ignore[arg-type]
        try:
            yield made
        finally:
            made.clean_up()


def test_sixty_payloads_run_once_each_on_two_schedds(clean_pool: CondorPool) -> None:
    with site(clean_pool, TWO) as at:
        for number in range(60):
            at.payload("A" if number % 2 else "B", f"job{number}", "sleep 1; exit 0")
        factory = at.start()
        factory.until(lambda _: len(done(at)) == 60, 90)
        assert len({name.partition(",")[2] for name in done(at)}) == 60
        assert not [
            n for q in "AB" for s in ("new", "running", "failed") for n in at.payload_names(q, s)
        ]
        confirmed = {i.submission: i.n for i in factory.intents() if i.state == "confirmed"}
        assert at.seen() == confirmed
        assert {i.schedd for i in factory.intents()} == set(clean_pool.schedds)
        assert (
            sum(confirmed.values()) <= 75
        )  # demand is spent once: no pilots for work that is gone


def done(at: PoolSite) -> list[str]:
    return [name for queue in "AB" for name in at.payload_names(queue, "done")]


def test_every_poll_lies_between_two_looks_of_condor_q_and_equals_them_when_quiet(
    pool: CondorPool,
) -> None:
    with site(pool, sleepers("Q", 40)) as at:
        factory = at.start()
        schedd = pool.schedds[0]
        polls = 0
        quiet = False
        while not quiet and polls < 60:
            before = status_counts(at.jobs(schedd, "JobStatus"))
            seen = next_poll(factory)
            after = status_counts(at.jobs(schedd, "JobStatus"))
            polls += 1
            assert before[2] <= (seen.running or 0) <= after[2]  # pilots start, none ends
            total = (seen.pending or 0) + (seen.running or 0)
            assert before.total() <= total <= after.total()
            quiet = before == after and after[2] == 40
        assert polls > 3
        assert quiet
        assert (seen.pending, seen.running, seen.held) == (0, 40, 0)


def next_poll(factory: Running) -> QueueStatus:
    """Return the row made from a poll that began after this was called."""
    called = time.monotonic()
    while True:
        row = factory.queue("Q")
        age = row.batch.age_s
        # The age is rounded, and counts from the end of the poll.
        if age is not None and time.monotonic() - age > called + 0.3:
            return row
        time.sleep(0.02)


def test_two_factories_with_equal_queue_names_never_count_each_other(pool: CondorPool) -> None:
    with site(pool, sleepers("Q", 7)) as one, site(pool, sleepers("Q", 4)) as other:
        first, second = one.start(), other.start()
        first.until(lambda _: pilots(first) == 7, 60)
        second.until(lambda _: pilots(second) == 4, 60)
        time.sleep(2)
        assert (pilots(first), pilots(second)) == (7, 4)
        assert sum(one.seen().values()) == 7
        assert sum(other.seen().values()) == 4


def test_pilots_of_another_state_folder_under_our_name_make_us_blind(pool: CondorPool) -> None:
    with (
        site(pool, sleepers("Q", 3), name="twin") as one,
        site(pool, sleepers("Q", 3), name="twin") as other,
    ):
        first = one.start()
        first.until(lambda _: pilots(first) == 3, 60)
        first.kill()
        second = other.start()
        second.until(lambda _: "another factory of this name" in second.queue("Q").reason, 30)
        assert second.queue("Q").state == "blind"
        time.sleep(1.5)
        assert not second.intents()


def test_a_stopped_schedd_blinds_its_queues_and_no_others(clean_pool: CondorPool) -> None:
    pool = clean_pool
    with site(
        pool,
        sleepers("A", 5, "first") + TWO.partition("[queues.B]")[1] + TWO.partition("[queues.B]")[2],
        deadline=3.0,
        max_age=4.0,
    ) as at:
        factory = at.start()
        factory.until(lambda _: pilots(factory, "A") == 5, 60)
        pool.pause_schedd(pool.schedds[0])
        try:
            took = []
            submitted = []
            for number in range(4):
                at.payload("B", f"late{number}", "sleep 1")
                added = time.monotonic()
                while len([i for i in factory.intents() if i.queue == "B"]) <= number:
                    began = time.monotonic()
                    assert factory.call("GET", "/v1/status")[0] == 200
                    took.append(time.monotonic() - began)
                    assert time.monotonic() - added < 15, factory.log()
                    time.sleep(0.05)
                submitted.append(time.monotonic() - added)
            factory.until(lambda _: factory.queue("A").state == "blind", 15)
            assert max(submitted) < 5, submitted
            assert max(took) < 0.1, took  # about 2 ms on a quiet machine
            assert factory.queue("B").state == "ok"
            assert "first" in factory.queue("A").reason
        finally:
            pool.continue_schedd(pool.schedds[0])
        factory.until(lambda _: factory.queue("A").state == "ok", 30)


def test_a_site_that_holds_every_pilot_gets_no_more_than_its_cap(pool: CondorPool) -> None:
    """The reason is the job's own: an outside text like any other, as hostile as it can be."""
    reason = HOSTILE.replace("\n", " ")
    holds = f"""
[queues.Q.attributes]
periodic_hold = "JobStatus <= 2"
"+PeriodicHoldReason" = {json.dumps(reason)}
"""
    with site(pool, sleepers("Q", 6) + holds) as at:
        factory = at.start()
        cycle = factory.until(lambda _: factory.queue("Q").held == 6, 60).factory.cycle
        factory.until(lambda s: s.factory.cycle >= cycle + 4, 30)
        row = factory.queue("Q")
        assert (row.held, row.pending, row.running) == (6, 0, 0)
        assert sum(at.seen().values()) == 6
        assert row.decision is not None
        assert row.decision.submit == 0
        assert row.decision.bound_by in ("max-pending", "max-to-run")
        assert "held" in " ".join(s.reason for s in row.decision.steps)
        assert row.reason == f"6 held: {clean(reason)}"
        assert row.reason.isprintable()
        assert "\x1b" not in factory.log()


def test_a_queue_that_leaves_the_settings_drains(pool: CondorPool) -> None:
    with site(pool, sleepers("Gone", 3) + sleepers("Stays", 1)) as at:
        factory = at.start()
        factory.until(lambda _: pilots(factory, "Gone") == 3, 60)
        at.write(at.settings(sleepers("Stays", 1)))
        assert factory.post("/v1/reload", None, ReloadResult).removed == ("Gone",)
        row = factory.queue("Gone")
        assert row.state == "draining"
        assert (row.pending or 0) + (row.running or 0) == 3
        where = ["-pool", pool.collector, "-name", pool.schedds[0]]
        mine = f'APFFactory == "{at.name}" && APFQueue == "Gone"'
        pool.run("condor_rm", *where, "-constraint", mine, user="root")
        factory.until(lambda s: "Gone" not in [q.name for q in s.queues], 30)
        assert sum(at.seen().values()) == 4


def pilots(factory: Running, queue: str = "Q") -> int | None:
    row = factory.queue(queue)
    if row.pending is None or row.running is None or row.held is None:
        return None
    return row.pending + row.running + row.held


def test_a_lost_ledger_is_found_again_on_the_schedd(pool: CondorPool) -> None:
    with site(pool, sleepers("Q", 9)) as at:
        factory = at.start()
        factory.until(lambda _: pilots(factory) == 9, 60)
        before = {i.submission: i.n for i in factory.intents()}
        factory.kill()
        for part in at.state.glob("state.db*"):
            part.unlink()
        (at.state / "state.db").write_bytes(b"this is no database" * 1000)
        factory = at.start()
        factory.until(lambda _: len(factory.intents()) == len(before), 30)
        assert {i.submission: i.n for i in factory.intents()} == before
        assert any("set aside" in alarm for alarm in factory.status().factory.alarms)
        time.sleep(2)
        assert sum(at.seen().values()) == 9


# What no description language, shell, table or terminal may take for more than text. HTCondor can
# say no line break in a string: a queue's name has its own shown as \\n from the start.
HOSTILE = "q'\"$(touch pwned){{7*7}}[/x][@click=app.quit]y[/]\x1b[31m\x1b]52;c;aGk=\x07\nz"


def test_a_hostile_name_is_inert_from_toml_to_the_job_ad_the_node_and_the_log(
    pool: CondorPool,
) -> None:
    shown = clean(HOSTILE)
    quoted = json.dumps(HOSTILE)
    table = f'[queues.{quoted}]\nwms_queue = "plain"\nbatch = "first"\n'
    with site(pool, table) as at:
        at.payload(
            "plain", HOSTILE.replace("/", "|"), 'printf "%s" "$FACTORYQUEUE" > seen; cat seen'
        )
        for folder in (at.payloads / "plain", *(at.payloads / "plain").iterdir()):
            if folder.is_dir():
                at.open_to_pilots(folder)
        factory = at.start()
        factory.until(lambda _: bool(at.payload_names("plain", "done")), 60)
        (done,) = at.payload_names("plain", "done")
        assert done.partition(",")[2] == HOSTILE.replace("/", "|")
        (queue,) = factory.status().queues
        assert queue.name == shown
        ads = at.jobs(pool.schedds[0], "APFQueue", "JobStatus", "Out", "Iwd")
        assert {ad["APFQueue"] for ad in ads} == {shown}
        out = next(path for path in at.state.rglob("*.out") if path.stat().st_size)
        assert shown in out.read_text()
        assert not list(at.folder.rglob("pwned"))
        assert "\x1b" not in factory.log()
        code, detail = factory.call("GET", "/v1/queue?" + urlencode({"name": shown}))
        assert code == 200
        assert "\\u001b" not in json.dumps(detail)
