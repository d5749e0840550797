"""From polls and intents to facts: what is known, how old it is, and what was spent already."""

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decision.chain import Link, decide, max_submit
from core.model.answers import BatchAnswer, BatchCount, WmsAnswer, WmsCount, WmsQuery
from core.model.facts import Facts
from core.model.plugin import NoParams
from core.model.submission import Intent, IntentState
from core.run.board import Board
from core.run.facts import BatchSource, Sources, WmsSource
from core.run.generation import Generation
from core.run.outstanding import REMEMBERED_S, Outstanding
from core.run.rows import rows
from core.run.source import Polled, Source
from core.run.worker import Worker
from core.settings.schema import (
    BatchTable,
    FactoryTable,
    QueueSettings,
    Settings,
    SourceTiming,
    WmsTable,
)
from core.state import clock
from plugins.sched.ready import Ready, ReadyParams

READY = (Link("ready", Ready(), ReadyParams()),)
BOOT = clock.boot_id()


def queue(name: str = "Q", wms: str | None = "panda", batch: str = "main") -> QueueSettings:
    return QueueSettings(
        name=name,
        wms=wms,
        query=WmsQuery(queue=name),
        batch=batch,
        submit_plugin="local",
        submit_params=NoParams(),
        wrapper="generic",
        wrapper_parameters={},
        chain=(),
        attributes={},
        environment={},
        paused=False,
        revision="1",
        values=(),
    )


def intent(n: int, state: IntentState, resolved: float | None, **other: Any) -> Intent:
    fields: dict[str, Any] = {
        "submission": str(uuid.uuid4()),
        "queue": "Q",
        "batch": "main",
        "submit_plugin": "local",
        "schedd": "here",
        "n": n,
        "epoch": 1,
        "cycle": 1,
        "wrapper": "w",
        "description": "",
        "state": state,
        "at": 1.0,
        "boottime": 1.0,
        "boot_id": BOOT,
        "resolved_boottime": resolved,
        "resolved_at": resolved,
    }
    return Intent(**(fields | other))


def confirmed(n: int, at: float, **other: Any) -> Intent:
    return intent(n, IntentState.CONFIRMED, at, **other)


class Polls:
    """Sources whose answers a test gives, in seconds of its own clock."""

    def __init__(
        self, lag: float = 0.0, max_age: float = 600.0, batches: Iterable[str] = ("main",)
    ) -> None:
        timing = SourceTiming(period=30.0, deadline=20.0, max_age=max_age)
        wms = WmsTable(name="panda", plugin="tally", params=NoParams(), timing=timing, lag=lag)
        batch = {
            name: BatchTable(
                name=name, plugin="local", params=NoParams(), timing=timing, outcomes=timing
            )
            for name in batches
        }
        self.settings = Settings(
            path=Path("/f.toml"),
            factory=FactoryTable(name="f", state=Path("/s")),
            wms={"panda": wms},
            batch=batch,
            queues={},
        )
        worker = Worker("wms panda", "wms", {})
        demand = Source(worker, timing, WmsAnswer, dict[str, Any])
        self.panda = demand
        self.main = {
            name: Source(Worker(f"batch {name}", "batch", {}), timing, BatchAnswer, dict[str, Any])
            for name in batch
        }
        counted = {name: BatchSource(source) for name, source in self.main.items()}
        self.sources = Sources({"panda": WmsSource(demand, lag)}, counted, {})
        self.outstanding = Outstanding([])

    def wms(self, began: float, activated: int | None, took: float = 0.0, **other: Any) -> None:
        count = WmsCount(query=WmsQuery(queue="Q"), activated=activated, **other)
        self.panda.last = Polled(WmsAnswer(counts=(count,)), began, began + took)

    def batch(
        self, began: float, *counts: BatchCount, took: float = 0.0, name: str = "main"
    ) -> None:
        answer = BatchAnswer(schedd="here", counts=counts)
        self.main[name].last = Polled(answer, began, began + took)
        self.sources.remember(self.settings, began + took)

    def facts(self, now: float, of: QueueSettings | None = None) -> Facts:
        return self.sources.facts(of or queue(), self.outstanding, now)

    def submit(self, now: float) -> int:
        """Decide, and submit what came out at once."""
        n = decide("Q", READY, self.facts(now), max_submit(1000)).submit
        if n:
            self.outstanding.put(confirmed(n, now))
        return n


def test_what_both_sources_say() -> None:
    polls = Polls()
    polls.batch(100, BatchCount(queue="Q", pending=3, held=2, running=7, leaving=9), took=1)
    polls.wms(110, 40, running=6, status="online")
    facts = polls.facts(120)
    assert (facts.wms.activated, facts.wms.running, facts.wms.status) == (40, 6, "online")
    batch = facts.batch
    assert (batch.pending, batch.held, batch.running, batch.in_flight) == (3, 2, 7, 0)
    assert (batch.p, batch.u, batch.covered) == (5, 7, 5)


def test_a_batch_answer_without_the_queue_is_0() -> None:
    polls = Polls()
    polls.batch(100, BatchCount(queue="other", pending=3))
    polls.wms(110, 40)
    batch = polls.facts(120).batch
    assert (batch.pending, batch.held, batch.running) == (0, 0, 0)


def test_a_wms_answer_without_a_number_is_unknown() -> None:
    polls = Polls()
    polls.batch(100)
    polls.wms(110, None, problem="panda knows no queue Q: did you mean QQ?")
    facts = polls.facts(120)
    assert facts.wms.activated is None
    assert facts.wms.problem == "panda knows no queue Q: did you mean QQ?"
    other = polls.facts(120, queue("new"))
    assert other.wms.activated is None
    assert other.wms.problem == "panda has not been asked for new yet"


def test_a_source_that_has_not_answered_is_unknown() -> None:
    facts = Polls().facts(120)
    assert facts.wms.problem == "wms panda has not answered yet"
    assert facts.batch.problem == "batch main has not answered yet"
    assert not facts.batch.known
    assert facts.wms.activated is None


def test_old_answers_are_unknown_from_one_moment_to_the_next() -> None:
    polls = Polls(max_age=50)
    polls.batch(100, BatchCount(queue="Q", running=1), took=5)
    polls.wms(110, 40, took=2)
    assert polls.facts(155).batch.running == 1
    late = polls.facts(155.1)
    assert late.batch.running is None
    assert late.batch.problem == "the last answer of batch main is 50 s old"
    assert late.wms.activated == 40
    polls.panda.error = "wms panda: no answer to poll within 20 s"
    stale = polls.facts(163)
    assert stale.wms.activated is None
    assert stale.wms.problem == (
        "the last answer of wms panda is 51 s old: wms panda: no answer to poll within 20 s"
    )


def test_a_queue_without_a_wms() -> None:
    polls = Polls()
    polls.batch(100, BatchCount(queue="Q", running=1))
    facts = polls.facts(120, queue(wms=None))
    assert facts.wms.problem == "the queue names no WMS"
    assert facts.batch.running == 1


def test_another_factory_under_our_name_makes_pilots_unknown() -> None:
    polls = Polls()
    polls.main["main"].last = Polled(
        BatchAnswer(schedd="here", counts=(), foreign=("abc",)), 100, 100
    )
    polls.sources.remember(polls.settings, 100)
    batch = polls.facts(110).batch
    assert not batch.known
    assert "(instance abc): give one of the two another [factory] name" in (batch.problem or "")


def test_unresolved_pilots_are_told_even_while_nothing_can_be_counted() -> None:
    polls = Polls()
    polls.outstanding.put(intent(7, IntentState.INTENT, None))
    assert polls.facts(100).batch.in_flight == 7


STATES = [
    (IntentState.INTENT, None, 7),
    (IntentState.CONFLICT, 50.0, 7),
    (IntentState.CONFIRMED, 50.0, 0),
    (IntentState.CONFIRMED, 100.0, 7),
    (IntentState.CONFIRMED, 101.0, 7),
    (IntentState.ABSENT, 101.0, 0),
]


@pytest.mark.parametrize(("state", "resolved", "flying"), STATES)
def test_what_counts_as_in_flight(state: IntentState, resolved: float | None, flying: int) -> None:
    """The batch system was asked at 100."""
    polls = Polls()
    polls.outstanding.put(intent(7, state, resolved))
    polls.outstanding.put(confirmed(1000, 101, queue="other"))
    polls.outstanding.put(confirmed(1000, 101, batch="other"))
    polls.batch(100)
    assert polls.facts(120).batch.in_flight == flying


@pytest.mark.parametrize("lag", [0.0, 60.0])
@pytest.mark.parametrize("phase", [0.5, 10.0, 29.5])
@pytest.mark.parametrize("starts", ["at once", "never"])
def test_a_frozen_wms_is_answered_once(lag: float, phase: float, starts: str) -> None:
    """R=100 stays for seven passes; pilots start before anybody sees them pending."""
    polls = Polls(lag=lag)
    for earlier in range(0, 300, 30):
        polls.batch(earlier + phase, took=0.4)
    polls.wms(300 + lag, 100)
    told: list[int] = []
    for number in range(7):
        began = 330 + lag + 30 * number + phase
        there = sum(told)
        running, pending = (there, 0) if starts == "at once" else (0, there)
        polls.batch(began, BatchCount(queue="Q", running=running, pending=pending), took=0.4)
        told.append(polls.submit(began + 1))
    assert told == [100, 0, 0, 0, 0, 0, 0]
    now = began + 40 + lag
    polls.batch(now - lag - 30, BatchCount(queue="Q", running=100))
    polls.wms(now, 12)
    polls.batch(now + 1, BatchCount(queue="Q", running=100))
    assert polls.submit(now + 2) == 12


def test_a_batch_system_asked_before_and_answering_after_the_wms() -> None:
    """While it was asked all pilots started: whether before the WMS counted, nobody knows."""
    polls = Polls()
    polls.batch(60, BatchCount(queue="Q", pending=100))
    polls.batch(100, BatchCount(queue="Q", running=100), took=10)
    polls.wms(105, 100)
    assert polls.facts(115).batch.covered == 100
    assert polls.submit(115) == 0


def test_a_wms_that_answers_slowly_may_have_counted_when_it_was_asked() -> None:
    polls = Polls()
    polls.batch(90, BatchCount(queue="Q", pending=100))
    polls.batch(105, BatchCount(queue="Q", running=100))
    polls.wms(100, 100, took=20)
    assert polls.facts(125).batch.covered == 100


def test_an_unresolved_intent_is_spent_until_it_is_known_to_be_absent() -> None:
    polls = Polls()
    sent = intent(60, IntentState.INTENT, None)
    polls.outstanding.put(sent)
    polls.batch(100)
    polls.wms(110, 100)
    polls.batch(120)
    assert polls.submit(121) == 40
    polls.batch(130, BatchCount(queue="Q", running=40))
    assert polls.submit(131) == 0
    polls.outstanding.put(sent.model_copy(update={"state": IntentState.ABSENT}))
    assert polls.submit(132) == 60


def test_after_a_restart_older_demand_is_unknown_and_says_why() -> None:
    polls = Polls(lag=60)
    polls.batch(1000, BatchCount(queue="Q", running=100), took=1)
    polls.wms(1002, 100, running=5, status="online")
    facts = polls.facts(1010)
    assert facts.wms.activated is None
    assert (facts.wms.running, facts.wms.status) == (5, "online")
    assert facts.wms.problem == (
        "its count is 68 s old, from before pilots were first counted; a later one will do"
    )
    assert polls.submit(1010) == 0
    polls.wms(1062, 100)
    assert polls.submit(1070) == 100


@given(st.floats(0, 20), st.floats(1, 60), st.sampled_from([0.0, 60.0]))
def test_what_demand_of_the_greatest_age_needs_is_still_remembered(
    took: float, period: float, lag: float
) -> None:
    """Pilots are counted all the time; the WMS took long and is nearly too old."""
    polls = Polls(lag=lag, max_age=100)
    now = 0.0
    while now < 250:
        polls.batch(now, took=period / 4)
        now += period
    polls.wms(now, 100, took=took)
    asked = now
    while now + period / 4 <= asked + took + 100:
        polls.batch(now, took=period / 4)
        facts = polls.facts(now + period / 4)
        if now + period / 4 >= asked + took:
            assert facts.wms.problem is None
            assert facts.batch.covered == 0
        now += period
    kept = polls.sources.batch["main"].samples("Q", 0.0)
    assert len(kept) <= (100 + 20 + lag) / period + 3
    assert polls.sources.oldest(now) == kept[0].began


def test_totals_count_all_pilots_whatever_is_due() -> None:
    polls = Polls(batches=("main", "second"))
    assert polls.sources.totals(polls.outstanding, 100).pilots is None
    polls.batch(100, BatchCount(queue="Q", pending=1, held=2, running=4, leaving=99))
    assert polls.sources.totals(polls.outstanding, 110).pilots is None
    polls.batch(100, BatchCount(queue="left-the-settings", running=8), name="second")
    assert polls.sources.totals(polls.outstanding, 110).pilots == 15
    polls.outstanding.put(confirmed(50, 90))  # in the answer of 100
    polls.outstanding.put(confirmed(16, 105))
    polls.outstanding.put(confirmed(32, 105, queue="other", batch="second"))
    polls.outstanding.put(intent(64, IntentState.INTENT, None, queue="gone"))
    assert polls.sources.totals(polls.outstanding, 110).pilots == 15 + 16 + 32 + 64
    polls.batch(700, name="second")
    assert polls.sources.totals(polls.outstanding, 701).pilots is None


def test_intents_that_nothing_depends_on_are_forgotten() -> None:
    outstanding = Outstanding(
        [confirmed(1, 50), confirmed(2, 150), intent(4, IntentState.INTENT, None)]
    )
    outstanding.put(confirmed(8, 50, queue="old"))
    outstanding.forget(100)
    assert sorted(s.n for s in outstanding.sent("Q", "main")) == [2, 4]
    assert outstanding.sent("old", "main") == []


def test_receipts_of_another_boot_are_dated_by_the_wall_clock() -> None:
    """Its boottimes say nothing here; a wall clock set back makes it in flight, never forgotten."""
    other = {"boot_id": "another", "resolved_boottime": 10**9}
    an_hour_ago = clock.wall() - REMEMBERED_S
    for at, age in ((an_hour_ago, REMEMBERED_S), (clock.wall() + 3600, 0.0)):
        outstanding = Outstanding(
            [intent(1, IntentState.CONFIRMED, None, **(other | {"resolved_at": at}))]
        )
        (sent,) = outstanding.sent("Q", "main")
        assert sent.at == pytest.approx(clock.boottime() - age, abs=5)


def test_the_oldest_open_intent_blocks_its_queue() -> None:
    newer = intent(1, IntentState.INTENT, None, at=20.0)
    older = intent(2, IntentState.CONFLICT, 30.0, at=10.0)
    outstanding = Outstanding([newer, older, confirmed(3, 1.0)])
    assert outstanding.blocking("Q") == older
    assert outstanding.unresolved() == [older, newer]
    outstanding.put(older.model_copy(update={"state": IntentState.CONFIRMED}))
    assert outstanding.blocking("Q") == newer
    assert outstanding.blocking("another") is None
    names = [newer.submission, older.submission]
    assert outstanding.confirmed(names, "Q") == 2
    assert outstanding.confirmed(names, "another") == 0


def test_pilots_that_a_queue_left_on_two_batch_systems_are_one_row() -> None:
    polls = Polls(batches=("main", "second"))
    polls.batch(100, BatchCount(queue="gone", pending=1, running=4))
    polls.batch(100, BatchCount(queue="gone", held=2, hold_reason="no wrapper"), name="second")
    generation = Generation(polls.settings, polls.sources, {}, {})
    board = Board()

    def show(now: float) -> None:
        board.show(rows(generation, {}, polls.outstanding, lambda _: None, now))

    show(110)
    version = board.version
    (row,) = board.since(0, 10, 110)[0]
    assert (row.state, row.pending, row.held, row.running) == ("draining", 1, 2, 4)
    assert (row.reason, row.batch_name) == (
        "not in the settings any more, 7 pilots left",
        "main, second",
    )
    assert row.batch.hold_reason == "no wrapper"
    show(111)
    assert board.version == version
