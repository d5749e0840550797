"""Random chains on random facts: what holds whatever the plug-ins do."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.decision.chain import Bound, Link, StepFailed, Stop, decide, max_submit, needs
from core.decision.queues import Due, decide_all
from core.model.decision import Decision, Step, TraceStep
from core.model.facts import BatchFacts, Fact, Facts, Totals, WmsFacts
from core.model.plugin import NoParams, Params, Role, Sched
from core.settings.registry import plugin_class

BOUND = max_submit(1000)


class Says(Sched[NoParams]):
    """A third party's step: says the same whatever the number is."""

    role = Role.SHAPE

    def __init__(self, what: Any, asks: frozenset[Fact] = frozenset()) -> None:
        self.what = what
        self.needs = asks  # type: ignore[misc]  # each test asks for other facts

    def step(self, n: int, facts: Facts, params: NoParams) -> Any:
        return self.what() if callable(self.what) else self.what


def link(name: str, **params: Any) -> Link:
    kind = plugin_class("sched", name)
    return Link(name, kind(), kind.params(**params))


def says(what: Any, *asks: Fact) -> Link:
    return Link("site-step", Says(what, frozenset(asks)), NoParams())


COUNTS = st.one_of(st.integers(0, 60), st.integers(0, 10**12))
NUMBERS = st.one_of(st.integers(-60, 60), st.integers(-(10**12), 10**12))
WELL_KNOWN = st.builds(
    lambda activated, running, status, pending, held, u, flying, covered, pilots: Facts(
        wms=WmsFacts(activated=activated, running=running, status=status),
        batch=BatchFacts(pending=pending, held=held, running=u, in_flight=flying, covered=covered),
        totals=Totals(pilots=pilots),
    ),
    COUNTS,
    COUNTS,
    st.sampled_from(["online", "test", "offline", "brokeroff", "standby"]),
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.one_of(st.none(), COUNTS),
    COUNTS,
)
LINKS = st.one_of(
    st.builds(lambda n: link("ready", offset=n), COUNTS),
    st.builds(lambda n: link("fixed", pilots_per_cycle=n), st.sampled_from([0, 1, 7, 10**9])),
    st.just(link("null")),
    st.builds(lambda f: link("scale", factor=f), st.floats(0, 100)),
    st.builds(lambda n: link("max-per-cycle", maximum=n), COUNTS),
    st.builds(lambda n: link("min-per-cycle", minimum=n), COUNTS),
    st.builds(lambda n: link("max-pending", maximum=n), COUNTS),
    st.builds(lambda n: link("min-pending", minimum=n), COUNTS),
    st.builds(lambda n: link("max-to-run", maximum=n), COUNTS),
    st.builds(lambda n: link("status-test", pilots=n), COUNTS),
    st.builds(lambda n: link("status-offline", pilots=n), COUNTS),
    st.builds(lambda n: link("keep-n-running", keep_running=n), st.one_of(st.none(), COUNTS)),
    st.builds(
        lambda default, most, least, testmode: link(
            "activated",
            default=default,
            max_jobs_torun=most,
            max_pilots_per_cycle=most,
            min_pilots_per_cycle=least,
            min_pilots_pending=least,
            max_pilots_pending=most,
            testmode={"allowed": testmode, "pilots": default},
        ),
        COUNTS,
        st.one_of(st.none(), COUNTS.map(lambda n: n + 1)),
        st.one_of(st.none(), COUNTS),
        st.booleans(),
    ),
    st.builds(
        lambda n, boost, most: link(
            "nqueue", nqueue=n, depth_boost=boost, pilot_limit=most, max_pilots_per_cycle=most
        ),
        COUNTS,
        st.integers(1, 5),
        st.one_of(st.none(), COUNTS.map(lambda n: n + 1)),
    ),
    st.builds(lambda n: link("fill-activated", offset=n), COUNTS),
    st.builds(lambda n: says(Step(out=n, reason="so")), NUMBERS),
)
CHAINS = st.lists(LINKS, max_size=6)
ANY_BOUND = st.builds(max_submit, st.integers(1, 2000))
STOPS = st.one_of(
    st.none(), st.just(Stop("paused", "paused by op")), st.just(Stop("draining", "drained by op"))
)

UNKNOWN = {
    Fact.WMS: ("wms", "activated"),
    Fact.WMS_RUNNING: ("wms", "running"),
    Fact.WMS_STATUS: ("wms", "status"),
    Fact.TOTALS: ("totals", "pilots"),
}


def without(facts: Facts, part: str, key: str) -> Facts:
    smaller = getattr(facts, part).model_copy(update={key: None})
    return facts.model_copy(update={part: smaller})


def caps_allow(chain: list[Link], facts: Facts) -> int | None:
    """What the caps of a chain leave room for, worked out apart from their own code."""
    p = (facts.batch.pending or 0) + (facts.batch.held or 0) + facts.batch.in_flight
    there = {"max-per-cycle": 0, "max-pending": p, "max-to-run": p + (facts.batch.running or 0)}
    room = [
        params["maximum"] - there[name]
        for name, _, given_params in chain
        if name in there and (params := given_params.model_dump())
    ]
    return min(room) if room else None


def check_trace(decision: Decision) -> None:
    """Every step begins where the one before ended, and the last one ends at what is submitted."""
    n, bound_by = 0, None
    for step in decision.steps:
        assert step.in_ == n
        if step.out < n:
            bound_by = step.plugin
        n = step.out
        assert step.reason
    assert decision.submit == n
    assert decision.bound_by == bound_by
    assert decision.remove == 0


@given(CHAINS, WELL_KNOWN, ANY_BOUND, STOPS)
def test_caps_bounds_and_the_trace_hold(
    chain: list[Link], facts: Facts, bound: Bound, stop: Stop | None
) -> None:
    decision = decide("Q", chain, facts, bound, stop)
    assert not decision.blind
    assert 0 <= decision.submit <= bound.n
    assert stop is None or decision.submit == 0
    room = caps_allow(chain, facts)
    assert room is None or decision.submit <= max(0, room)
    check_trace(decision)
    assert [s.plugin for s in decision.steps][: len(chain)] == [one.name for one in chain]


@given(CHAINS, WELL_KNOWN, ANY_BOUND, STOPS)
def test_with_apf_compat_bounds_and_the_trace_hold(
    chain: list[Link], facts: Facts, bound: Bound, stop: Stop | None
) -> None:
    """Each step once, in order; what is left of ours bounds it."""
    decision = decide("Q", chain, facts, bound, stop, compat=True)
    assert 0 <= decision.submit <= bound.n
    assert stop is None or decision.submit == 0
    check_trace(decision)
    told = [s.plugin for s in decision.steps]
    assert told[: len(chain)] == [one.name for one in chain]
    assert set(told[len(chain) :]) <= {"max_submit", "paused", "draining", "no-removal"}


@given(CHAINS, WELL_KNOWN, st.integers(0, 60))
def test_no_step_lifts_an_offline_queue(chain: list[Link], facts: Facts, pilots: int) -> None:
    assume(facts.wms.status in ("offline", "brokeroff"))
    asked = [*chain, link("status-offline", pilots=pilots), *chain]
    assert decide("Q", asked, facts, BOUND).submit <= pilots


@given(CHAINS, WELL_KNOWN, st.booleans())
def test_a_decision_depends_on_nothing_but_its_facts(
    chain: list[Link], facts: Facts, compat: bool
) -> None:
    once, twice = (decide("Q", chain, facts, BOUND, compat=compat) for _ in range(2))
    assert once == twice


@given(CHAINS, WELL_KNOWN, st.sampled_from(sorted(UNKNOWN)))
def test_nothing_on_an_unknown_fact(chain: list[Link], facts: Facts, fact: Fact) -> None:
    asked = [*chain, says(Step(out=5, reason="five"), fact)]
    assert not decide("Q", asked, facts, BOUND).blind
    decision = decide("Q", asked, without(facts, *UNKNOWN[fact]), BOUND)
    assert (decision.blind, decision.submit, decision.steps) == (True, 0, ())
    assert decision.bound_by is None
    assert decision.blind_because
    assert "unknown" in decision.blind_because


@given(CHAINS, WELL_KNOWN, st.sampled_from(["pending", "held", "running"]))
def test_nothing_while_pilots_are_unknown(chain: list[Link], facts: Facts, key: str) -> None:
    decision = decide("Q", chain, without(facts, "batch", key), BOUND)
    assert (decision.blind, decision.submit, decision.steps) == (True, 0, ())
    assert decision.blind_because == f"pilots are unknown: no number for {key}"


@given(CHAINS, WELL_KNOWN, st.sampled_from(sorted(UNKNOWN)))
def test_a_fact_that_nobody_needs_may_be_unknown(
    chain: list[Link], facts: Facts, fact: Fact
) -> None:
    assume(fact not in needs(chain))
    assert not decide("Q", chain, without(facts, *UNKNOWN[fact]), BOUND).blind


def test_the_reasons_of_a_source_are_passed_on() -> None:
    facts = Facts(
        wms=WmsFacts(problem="panda has not answered"),
        batch=BatchFacts(problem="the last answer of batch main is 400 s old"),
    )
    chain = [link("ready"), says(Step(out=1, reason="one"), Fact.WMS_STATUS, Fact.TOTALS)]
    assert decide("Q", chain, facts, BOUND).blind_because == (
        "activated is unknown: panda has not answered;"
        " the queue's status is unknown: panda has not answered;"
        " pilots are unknown: the last answer of batch main is 400 s old;"
        " the factory's total is unknown: some queue cannot be counted"
    )


KNOWN = Facts(
    wms=WmsFacts(activated=100), batch=BatchFacts(pending=10, held=0, running=8), totals=Totals()
)


def trace(decision: Decision) -> list[tuple[str, int, int]]:
    check_trace(decision)
    return [(s.plugin, s.in_, s.out) for s in decision.steps]


def test_floors_after_caps_do_not_lift_them() -> None:
    chain = [
        link("fixed", pilots_per_cycle=10**9),
        link("max-pending", maximum=25),
        link("max-to-run", maximum=20),
        link("min-per-cycle", minimum=500),
        link("min-pending", minimum=400),
    ]
    decision = decide("Q", chain, KNOWN, BOUND)
    assert trace(decision) == [
        ("fixed", 0, 10**9),
        ("max-pending", 10**9, 15),
        ("max-to-run", 15, 2),
        ("min-per-cycle", 2, 500),
        ("min-pending", 500, 500),
        ("max-pending", 500, 15),
        ("max-to-run", 15, 2),
    ]
    assert (decision.submit, decision.bound_by) == (2, "max-to-run")
    again = decision.steps[-1].reason
    assert again == "cap again: at most 20 pilots, there are 18: room for 2"


def test_max_submit_is_the_last_word() -> None:
    decision = decide("Q", [link("fixed", pilots_per_cycle=10**9)], KNOWN, BOUND)
    assert trace(decision) == [("fixed", 0, 10**9), ("max_submit", 10**9, 1000)]
    assert (decision.submit, decision.bound_by) == (1000, "max_submit")
    assert decision.steps[-1].reason == "[factory] max_submit allows 1000 a pass"


@pytest.mark.parametrize(("n", "bound_by"), [(999, None), (1000, None), (1001, "max_submit")])
def test_max_submit_bounds_to_the_pilot(n: int, bound_by: str | None) -> None:
    decision = decide("Q", [link("fixed", pilots_per_cycle=n)], KNOWN, BOUND)
    assert (decision.submit, decision.bound_by) == (min(n, 1000), bound_by)


def test_below_0_is_0_with_a_step_that_says_so() -> None:
    chain = [link("fixed", pilots_per_cycle=5), link("max-pending", maximum=3)]
    decision = decide("Q", chain, KNOWN, BOUND)
    assert trace(decision) == [("fixed", 0, 5), ("max-pending", 5, -7), ("no-removal", -7, 0)]
    assert (decision.submit, decision.remove, decision.bound_by) == (0, 0, "max-pending")
    assert decision.steps[-1].reason == "below 0: nothing is submitted or removed"


def test_paused_shows_what_would_have_been_submitted() -> None:
    stop = Stop("paused", "paused by op: power cut")
    decision = decide("Q", [link("fixed", pilots_per_cycle=5)], KNOWN, BOUND, stop)
    assert trace(decision) == [("fixed", 0, 5), ("paused", 5, 0)]
    assert decision.steps[-1].reason == "paused by op: power cut"


def test_an_empty_chain_submits_nothing() -> None:
    assert trace(decide("Q", [], KNOWN, BOUND)) == []


def test_nothing_that_lowers_nothing_bounds() -> None:
    chain = [link("fixed", pilots_per_cycle=5), link("max-per-cycle", maximum=5)]
    assert decide("Q", chain, KNOWN, BOUND).bound_by is None


def test_a_hostile_reason_is_cleaned_and_cut() -> None:
    decision = decide("Q", [says(Step(out=1, reason="\x1b[2J\n" * 100))], KNOWN, BOUND)
    reason = decision.steps[0].reason
    assert reason.startswith("\\x1b[2J\\x0a")
    assert len(reason) == 300


def broken() -> Step:
    raise ValueError("no\x1b[2J step\nhere")


def bad_repr() -> Any:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    return Odd()


UNCHECKED: Any = Step.model_construct
INTEGER = "Input should be a valid integer"
NONSENSE = [
    (broken, r"step site-step raised ValueError: no\x1b[2J step\x0ahere"),
    (lambda: Step(out=float("nan"), reason="?"), f"step site-step: out: {INTEGER}, got float"),  # type: ignore[arg-type]
    (lambda: Step(out=3.0, reason="?"), f"out: {INTEGER}, got float"),  # type: ignore[arg-type]
    (lambda: Step(out="3", reason="?"), f"out: {INTEGER}, got str"),  # type: ignore[arg-type]
    (lambda: Step(out=True, reason="?"), f"out: {INTEGER}, got bool"),
    (None, "step site-step returned None, not a Step"),
    (float("nan"), "step site-step returned nan, not a Step"),
    (5, "step site-step returned 5, not a Step"),
    ((5, "APF's old form"), """step site-step returned (5, "APF's old form"), not a Step"""),
    ("\x1b[2J", r"step site-step returned '\x1b[2J', not a Step"),
    (lambda: TraceStep(plugin="x", in_=0, out=3, reason="?"), "not a Step"),
    (lambda: UNCHECKED(out=float("nan"), reason="?"), f"out: {INTEGER}, got float"),
    (lambda: UNCHECKED(out="3", reason="?"), f"out: {INTEGER}, got str"),
    (lambda: UNCHECKED(out=True, reason="?"), f"out: {INTEGER}, got bool"),
    (lambda: Step(out=3, reason="?").model_copy(update={"out": 2.5}), f"out: {INTEGER}, got float"),
    (
        lambda: Step(out=3, reason="?").model_copy(update={"reason": None}),
        "reason: Input should be a valid string, got NoneType",
    ),
    (lambda: UNCHECKED(out=3), "step site-step raised AttributeError"),
    (lambda: Step(out=10**19, reason="?"), "out: Input should be less than 9223372036854775808"),
    (lambda: Step(out=-(10**19), reason="?"), "out: Input should be greater than or equal to -9"),
    (lambda: Step(out=10**5000, reason="?"), "out: Input should be less than"),
    (bad_repr, "step site-step raised RuntimeError: no repr"),
]


@pytest.mark.parametrize(("what", "why"), NONSENSE)
def test_a_step_that_talks_nonsense_fails_its_queue_alone(what: Any, why: str) -> None:
    chain = [link("fixed", pilots_per_cycle=5)]
    with pytest.raises(StepFailed) as failed:
        decide("Q", [*chain, says(what)], KNOWN, BOUND)
    assert why in str(failed.value)
    assert str(failed.value).isprintable()

    def due(queue: str, *links: Link) -> Due:
        return Due(queue, links, KNOWN, BOUND)

    asked = [due("A", *chain), due("B", *chain, says(what)), due("C", *chain)]
    a, b, c = decide_all(asked, Totals(pilots=18))
    assert (a.decision.submit, c.decision.submit) == (5, 5)
    assert not a.failed
    assert not c.failed
    assert b.failed
    assert b.decision.submit == 0
    assert why in (b.decision.blind_because or "")
    json.dumps(b.decision.model_dump(mode="json", by_alias=True))


@given(CHAINS, WELL_KNOWN, st.sampled_from([what for what, _ in NONSENSE]), st.integers(0, 6))
def test_nonsense_anywhere_in_a_chain_submits_nothing(
    chain: list[Link], facts: Facts, what: Any, where: int
) -> None:
    broken_chain = (*chain[:where], says(what), *chain[where:])
    (decided,) = decide_all([Due("Q", broken_chain, facts, BOUND)], Totals())
    assert decided.failed
    assert (decided.decision.submit, decided.decision.steps) == (0, ())


def test_a_cap_that_fails_only_the_second_time() -> None:
    class Twice(Says):
        role = Role.CAP

        def step(self, n: int, facts: Facts, params: NoParams) -> Any:
            return Step(out=min(n, 4), reason="4") if n == 5 else None

    chain = [link("fixed", pilots_per_cycle=5), Link("twice", Twice(None), NoParams())]
    with pytest.raises(StepFailed, match="step twice returned None"):
        decide("Q", chain, KNOWN, BOUND)


def test_a_cap_that_raises_the_number_cannot_the_second_time() -> None:
    class Lifts(Says):
        role = Role.CAP

    lifts = Link("lifts", Lifts(Step(out=50, reason="50")), NoParams())
    chain = [link("max-per-cycle", maximum=3), lifts, link("min-per-cycle", minimum=40)]
    decision = decide("Q", chain, KNOWN, BOUND)
    assert decision.submit == 3
    check_trace(decision)


class Shares(Sched[Params]):
    """A third party's cap on the whole factory."""

    role = Role.CAP
    needs = frozenset({Fact.TOTALS})

    def step(self, n: int, facts: Facts, params: Params) -> Step:
        assert facts.totals.pilots is not None
        room = max(0, 100 - facts.totals.pilots)
        return Step(out=min(n, room), reason=f"room for {room} of 100")


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 120))
def test_totals_go_on_within_a_pass(wanted: list[int], there: int) -> None:
    asked = [
        Due(
            f"Q{number}",
            (link("fixed", pilots_per_cycle=n), Link("shares", Shares(), NoParams())),
            KNOWN,
            BOUND,
        )
        for number, n in enumerate(wanted)
    ]
    decided = list(decide_all(asked, Totals(pilots=there)))
    left = max(0, 100 - there)
    for n, (decision, failed) in zip(wanted, decided, strict=True):
        assert not failed
        assert decision.submit == min(n, left)
        left -= decision.submit


def test_queues_that_need_no_total_are_decided_without_one() -> None:
    five = link("fixed", pilots_per_cycle=5)
    shares = Link("shares", Shares(), NoParams())
    asked = [Due("A", (five, shares), KNOWN, BOUND), Due("B", (five,), KNOWN, BOUND)]
    a, b = decide_all(asked, Totals())
    assert a.decision.blind
    assert not a.failed
    assert b.decision.submit == 5
