"""Demand is spent once: whatever the phases of the polls, no payload gets two pilots."""

import heapq
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.decision.chain import Link, decide, max_submit
from core.decision.demand import Sample, Sent, covered, in_flight
from core.model.facts import BatchFacts, Facts, WmsFacts
from core.settings.registry import plugin_class

Chain = tuple[Link, ...]


def link(name: str, **params: int) -> Link:
    kind = plugin_class("sched", name)
    return Link(name, kind(), kind.params(**params))


READY: Chain = (link("ready"),)
BY_R: list[Chain] = [READY, (link("fill-activated"),), (link("activated"),)]
NQUEUE, BOOST = 30, 2
DEPTH: Chain = (link("nqueue", nqueue=NQUEUE, depth_boost=BOOST),)


def poll(at: float, p: int, took: float = 0.0) -> Sample:
    return Sample(began=at, ended=at + took, p=p)


CASES = [
    ("nothing there, nothing sent", 10, [poll(9, 0)], [], 0),
    ("what is pending answers it", 10, [poll(9, 4)], [], 4),
    ("sent since", 10, [poll(9, 4)], [Sent(12, 5)], 9),
    ("sent before the poll is in it", 10, [poll(9, 4)], [Sent(8, 5)], 4),
    ("sent at the moment of the poll may not be in it", 10, [poll(9, 4)], [Sent(9, 5)], 9),
    ("started meanwhile", 10, [poll(9, 4), poll(20, 0)], [], 4),
    ("sent and started meanwhile", 10, [poll(9, 4), poll(20, 0)], [Sent(12, 5)], 9),
    ("sent before, not started", 10, [poll(9, 4), poll(20, 6)], [Sent(12, 2)], 6),
    ("more now than then", 10, [poll(9, 4), poll(20, 50)], [], 50),
    ("more now, and more in flight", 10, [poll(9, 4), poll(20, 50)], [Sent(21, 3)], 53),
    ("unresolved counts in full", 10, [poll(9, 4), poll(20, 0)], [Sent(None, 7)], 11),
    ("the newest that is old enough", 10, [poll(1, 90), poll(9, 4), poll(11, 0)], [], 4),
    ("no poll is as old", 10, [poll(11, 0)], [], None),
    ("one that ended at that moment may be newer", 10, [poll(9, 4), poll(10, 0)], [], 4),
    ("no poll at all", 10, [], [], None),
    ("a poll that ended later saw a later state", 10, [poll(9, 4, took=2)], [], None),
    (
        "a slow poll, and one before it",
        10,
        [poll(5, 6), poll(9, 0, took=2)],
        [Sent(7, 1)],
        7,
    ),
]


@pytest.mark.parametrize(("measured_at", "samples", "sent", "n"), [c[1:] for c in CASES])
def test_covered(
    measured_at: float, samples: list[Sample], sent: list[Sent], n: int | None
) -> None:
    assert covered(measured_at, samples, sent) == n


def test_in_flight_is_what_the_answer_cannot_show() -> None:
    sent = [Sent(8, 1), Sent(9, 2), Sent(10, 4), Sent(None, 8)]
    assert in_flight(poll(9, 100), sent) == 14
    assert in_flight(poll(11, 100), sent) == 8


class Frozen(NamedTuple):
    """A WMS that says R=100, measured at T, for as long as it takes."""

    measured_at: float
    activated: int = 100


def submitted(
    measured: Frozen,
    samples: list[Sample],
    sent: list[Sent],
    running: int,
    chain: Chain = READY,
) -> int:
    """One decision of the real chain."""
    now = samples[-1]
    flying = in_flight(now, sent)
    spent = covered(measured.measured_at, samples, sent)
    facts = Facts(
        wms=WmsFacts(activated=None if spent is None else measured.activated, status="online"),
        batch=BatchFacts(pending=now.p, held=0, running=running, in_flight=flying, covered=spent),
    )
    return decide("Q", chain, facts, max_submit(1000)).submit


@pytest.mark.parametrize("lag", [0.0, 60.0, 150.0])
@pytest.mark.parametrize("phase", [0.0, 0.5, 7.0, 29.0])
@pytest.mark.parametrize("receipt_after", [0.0, 5.0, 45.0])
@pytest.mark.parametrize(
    ("chain", "bursts"),
    [
        *((chain, [100, 0, 0, 0, 0, 0, 0, 0]) for chain in BY_R),
        (DEPTH, [30, 30, 30, 10, 0, 0, 0, 0]),
    ],
    ids=["ready", "fill-activated", "activated", "nqueue"],
)
def test_frozen_at_100_for_many_passes(
    lag: float, phase: float, receipt_after: float, chain: Chain, bursts: list[int]
) -> None:
    """Every pilot starts at once, so that nothing is ever pending; passes every 30 s."""
    measured = Frozen(1000.0 - lag)
    samples = [poll(at + phase, 0, took=0.2) for at in range(800, 1000, 30)]
    sent: list[Sent] = []
    told = []
    for n in range(8):
        now = 1000.0 + 30 * n + phase
        samples.append(poll(now, 0, took=0.2))
        n_sent = submitted(measured, samples, sent, sum(s.n for s in sent), chain)
        told.append(n_sent)
        if n_sent:
            sent.append(Sent(now + 1.0 + receipt_after, n_sent))
    assert told == bursts
    # Measured anew, with all payloads claimed but 30 that have come since.
    fresh = Frozen(samples[-1].ended + 1, activated=30)
    samples.append(poll(fresh.measured_at + 20, 0))
    assert submitted(fresh, samples, sent, 100, chain) == 30


def test_capped_passes_add_up_to_the_demand() -> None:
    """A cap lets 30 a pass through: 30, 30, 30, 10, and no more."""
    samples, told = [poll(999, 0)], []
    sent: list[Sent] = []
    for n in range(8):
        now = 1010.0 + 30 * n
        samples.append(poll(now, 0))
        n_sent = min(30, submitted(Frozen(1000.0), samples, sent, running=0))
        told.append(n_sent)
        sent.append(Sent(now + 1, n_sent))
    assert told == [30, 30, 30, 10, 0, 0, 0, 0]


def test_unresolved_stays_spent_until_it_is_known_to_be_absent() -> None:
    samples = [poll(999, 0), poll(1010, 0)]
    assert submitted(Frozen(1000), samples, [Sent(None, 100)], running=0) == 0
    assert submitted(Frozen(5000), [*samples, poll(5010, 0)], [Sent(None, 100)], running=0) == 0
    assert submitted(Frozen(5000), [*samples, poll(5010, 0)], [], running=0) == 100


def test_after_a_restart_demand_of_before_is_unknown() -> None:
    """What was pending when it was measured nobody knows any more."""
    assert covered(1000, [poll(1030, 0)], []) is None
    assert submitted(Frozen(1000), [poll(1030, 0)], [], running=100) == 0


class Site:
    """A site in which every event has a time: payloads are claimed by the pilots that start."""

    def __init__(self, payloads: int) -> None:
        self.now = 0.0
        self.waiting = payloads
        self.pending = 0
        self.sent = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, what))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()

    def submit(self, n: int, starts_after: list[float]) -> None:
        self.pending += n
        self.sent += n
        for number in range(n):
            self.at(self.now + starts_after[number % len(starts_after)], self._start)

    def _start(self) -> None:
        self.pending -= 1
        self.waiting = max(0, self.waiting - 1)


class Factory:
    """Polls, passes and submissions as the factory makes them, each at its own pace."""

    def __init__(self, site: Site, draw: st.DataObject, chain: Chain) -> None:
        self.site = site
        self.chain = chain
        self.samples: list[Sample] = []
        self.sent: list[Sent] = []
        self.unresolved = 0
        self.measured: Frozen | None = None
        self.lag = float(draw.draw(st.sampled_from([0, 10, 60]), "lag"))
        self._starts = draw.draw(
            st.lists(st.floats(0, 90), min_size=1, max_size=4), "pilots start after"
        )
        self._slow = draw.draw(st.lists(st.floats(0, 20), min_size=1, max_size=5), "polls take")
        self._shares = draw.draw(
            st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=4), "seen at"
        )
        self._period = draw.draw(st.floats(3, 40), "batch period")
        self._most = draw.draw(st.sampled_from([13, 40, 1000]), "cap of a pass")
        self._calls = 0
        self._decided_on: Sample | None = None

    def _takes(self) -> float:
        self._calls += 1
        return self._slow[self._calls % len(self._slow)]

    def poll_batch(self) -> None:
        began, takes = self.site.now, self._takes()
        seen: list[int] = []
        share = self._shares[self._calls % len(self._shares)]

        def ended() -> None:
            self.samples.append(Sample(began, self.site.now, seen[0]))
            self.site.at(began + max(self._period, takes), self.poll_batch)

        self.site.at(began + takes * share, lambda: seen.append(self.site.pending))
        self.site.at(began + takes, ended)

    def poll_wms(self) -> None:
        """The WMS counts `lag` before it is asked, at the earliest."""
        asked = self.site.now
        count = self.site.waiting
        takes = self._takes()

        def ended() -> None:
            self.measured = Frozen(asked, count)
            self.site.at(self.site.now + 30, self.poll_wms)

        self.site.at(asked + self.lag + takes, ended)

    def decide(self) -> None:
        self.site.at(self.site.now + 10, self.decide)
        if self.measured is None or not self.samples or self.unresolved:
            return
        if self.samples[-1] is self._decided_on:
            return
        self._decided_on = self.samples[-1]
        n = min(self._most, submitted(self.measured, self.samples, self.sent, 0, self.chain))
        if n:
            self._submit(n)

    def _submit(self, n: int) -> None:
        self.unresolved = n
        commits, receipt = sorted((self._takes(), self._takes()))

        def told() -> None:
            self.sent.append(Sent(self.site.now, n))
            self.unresolved = 0

        self.site.at(self.site.now + commits, lambda: self.site.submit(n, self._starts))
        self.site.at(self.site.now + receipt, told)


def worked(data: st.DataObject, chain: Chain) -> Site:
    """A site with 100 payloads after many passes."""
    site = Site(payloads=100)
    factory = Factory(site, data, chain)
    for first in (factory.poll_batch, factory.poll_wms, factory.decide):
        site.at(data.draw(st.floats(0, 10), "begins at"), first)
    site.run(until=1500)
    return site


@settings(max_examples=400)
@given(st.data())
def test_100_payloads_never_get_101_pilots(data: st.DataObject) -> None:
    """Any order of slow polls, lag, late receipts and pilots that start at any time."""
    site = worked(data, data.draw(st.sampled_from(BY_R)))
    assert site.sent <= 100
    assert site.sent == 100, "demand that stands is answered in the end"


@settings(max_examples=400)
@given(st.data())
def test_nqueue_sends_no_more_than_the_depth_that_it_is_told_to_keep(data: st.DataObject) -> None:
    """Fewer than 100 have started and the depth is not full, or there is no burst."""
    site = worked(data, DEPTH)
    assert 100 <= site.sent < 100 + NQUEUE * (BOOST + 1)
