"""The steps that decide by themselves: AutoPyFactory's Activated and nqueue; and its arithmetic."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decision.chain import decide, max_submit
from core.model.facts import Facts
from tests.unit.test_sched import facts, link

DEMAND = "100 activated - 10 pending"

ACTIVATED = [
    ({}, facts(100, 10, 8), 90, DEMAND),
    ({}, facts(5, 10), 0, "5 activated - 10 pending"),
    ({}, facts(100, 10, covered=60), 40, f"{DEMAND} - 50 sent since that was measured"),
    # its bounds, in order
    (
        {"max_jobs_torun": 40},
        facts(100, 10, 8),
        22,
        f"{DEMAND}; at most 40 pilots, there are 18",
    ),
    ({"max_jobs_torun": 10}, facts(100, 10, 8), -8, f"{DEMAND}; at most 10 pilots, there are 18"),
    ({"min_pilots_pending": 25}, facts(10, 10), 15, "10 activated - 10 pending; "
     "at least 25 pending, 10 are"),
    (
        {"max_jobs_torun": 20, "min_pilots_pending": 25},
        facts(100, 10, 8),
        15,
        f"{DEMAND}; at most 20 pilots, there are 18; at least 25 pending, 10 are",
    ),
    ({"max_pilots_per_cycle": 50}, facts(100, 10), 50, f"{DEMAND}; at most 50 a pass"),
    (
        {"min_pilots_pending": 120, "max_pilots_per_cycle": 50},
        facts(100, 10),
        50,
        f"{DEMAND}; at least 120 pending, 10 are; at most 50 a pass",
    ),
    (
        {"max_pilots_per_cycle": 50, "min_pilots_per_cycle": 60},
        facts(100, 10),
        60,
        f"{DEMAND}; at most 50 a pass; at least 60 a pass",
    ),
    (
        {"min_pilots_per_cycle": 60, "max_pilots_pending": 25},
        facts(100, 10, held=2),
        13,
        "100 activated - 12 pending (2 held); at most 25 pending, 12 are",
    ),
    (
        {"min_pilots_per_cycle": 60, "max_pilots_pending": 25},
        facts(0, 10),
        15,
        "0 activated - 10 pending; at least 60 a pass; at most 25 pending, 10 are",
    ),
    ({"max_pilots_pending": 5}, facts(100, 10), -5, f"{DEMAND}; at most 5 pending, 10 are"),
    ({"min_pilots_per_cycle": 0, "max_jobs_torun": 10}, facts(100, 10, 8), 0,
     f"{DEMAND}; at most 10 pilots, there are 18; at least 0 a pass"),
    # test mode
    ({}, facts(100, 10, status="test"), 90, DEMAND),
    ({"testmode": {"pilots": 3}}, facts(100, 10, status="test"), 90, DEMAND),
    (
        {"testmode": {"allowed": True}, "min_pilots_per_cycle": 7},
        facts(100, 10, status="test"),
        0,
        "the WMS says test, 10 pending: 0 a pass",
    ),
    (
        {"testmode": {"allowed": True, "pilots": 3}},
        facts(0, 10, status="test"),
        3,
        "the WMS says test, 10 pending: 3 a pass",
    ),
    (
        {"testmode": {"allowed": True, "pilots": 3}},
        facts(100, 9, held=2, status="test"),
        0,
        "the WMS says test, 11 pending (2 held): more than 10",
    ),
    (
        {"testmode": {"allowed": True, "pilots": 3, "max_pending": 0}},
        facts(100, 1, status="test"),
        0,
        "the WMS says test, 1 pending: more than 0",
    ),
    ({"testmode": {"allowed": True, "pilots": 3}}, facts(100, 10), 90, DEMAND),
    # the other statuses
    ({"min_pilots_per_cycle": 7}, facts(100, 10, status="offline"), 0, "the WMS says offline"),
    ({"min_pilots_per_cycle": 7}, facts(100, 10, status="brokeroff"), 0, "the WMS says brokeroff"),
    (
        {"min_pilots_per_cycle": 7, "min_pilots_pending": 20},
        facts(100, 10, status="standby"),
        0,
        "the WMS says standby: 0",
    ),
    ({"default": 4}, facts(100, 10, status="standby"), 4, "the WMS says standby: 4"),
    (
        {"default": 4, "max_pilots_pending": 12},
        facts(100, 10, status="standby"),
        2,
        "the WMS says standby: 4; at most 12 pending, 10 are",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("params", "known", "out", "reason"), ACTIVATED)
def test_activated(params: dict[str, Any], known: Facts, out: int, reason: str) -> None:
    one = link("activated", **params)
    step = one.plugin.step(777, known, one.params)
    assert (step.out, step.reason) == (out, reason)


@pytest.mark.parametrize(("params", "known", "out", "reason"), ACTIVATED)
def test_activated_as_autopyfactory_has_it(
    params: dict[str, Any], known: Facts, out: int, reason: str
) -> None:
    """Every status but test and offline is online there."""
    one = link("activated", **params)
    step = one.plugin.apf_step(777, known, one.params)
    if known.wms.status in ("brokeroff", "standby"):
        wms = known.wms.model_copy(update={"status": "online"})
        known = known.model_copy(update={"wms": wms})
        assert step == one.plugin.step(777, known, one.params)
    else:
        assert (step.out, step.reason) == (out, reason)


def queue_of(**more: int) -> dict[str, int]:
    return {"nqueue": 10, **more}


NQUEUE = [
    (queue_of(), facts(0, 0), 0, "0 activated, 0 pending, no work is left"),
    (queue_of(), facts(1, 0), 10, "1 activated, 0 pending, a burst of 10"),
    (queue_of(), facts(1, 9), 10, "1 activated, 9 pending, a burst of 10"),
    (queue_of(), facts(10, 10), 0, "10 activated, 10 pending, enough for nqueue 10"),
    (queue_of(), facts(11, 10), 10, "11 activated, 10 pending, a burst of 10"),
    (queue_of(), facts(100, 19), 10, "100 activated, 19 pending, a burst of 10"),
    (queue_of(), facts(100, 20), 0, "100 activated, 20 pending, enough for nqueue 10 x 2"),
    (queue_of(depth_boost=3), facts(100, 20), 10, "100 activated, 20 pending, a burst of 10"),
    (
        queue_of(depth_boost=1),
        facts(100, 10),
        0,
        "100 activated, 10 pending, enough for nqueue 10 x 1",
    ),
    (
        queue_of(),
        facts(100, 8, held=7, in_flight=5),
        0,
        "100 activated, 20 pending (7 held, 5 in flight), enough for nqueue 10 x 2",
    ),
    (queue_of(nqueue=0), facts(9), 0, "9 activated, 0 pending, enough for nqueue 0 x 2"),
    # its bounds
    (
        queue_of(max_pilots_per_cycle=4),
        facts(9),
        4,
        "9 activated, 0 pending, a burst of 10, at most 4 a pass",
    ),
    (queue_of(max_pilots_per_cycle=10), facts(9), 10, "9 activated, 0 pending, a burst of 10"),
    (
        queue_of(pilot_limit=20),
        facts(9, 5, 8),
        7,
        "9 activated, 5 pending, a burst of 10, at most 20 pilots, there are 13",
    ),
    (
        queue_of(pilot_limit=20),
        facts(9, 5, 80),
        0,
        "9 activated, 5 pending, a burst of 10, at most 20 pilots, there are 85",
    ),
    (
        queue_of(pilot_limit=15, max_pilots_per_cycle=4),
        facts(9, 5, 8),
        2,
        "9 activated, 5 pending, a burst of 10, at most 4 a pass, at most 15 pilots, there are 13",
    ),
    # what was sent since it was measured, and no longer waits, is off R
    (
        queue_of(),
        facts(100, 0, covered=60),
        10,
        "100 activated - 60 sent since that was measured, 0 pending, a burst of 10",
    ),
    (
        queue_of(),
        facts(100, 0, covered=94),
        6,
        "100 activated - 94 sent since that was measured, 0 pending, a burst of 6",
    ),
    (
        queue_of(),
        facts(100, 0, covered=100),
        0,
        "100 activated - 100 sent since that was measured, 0 pending, no work is left",
    ),
    (
        queue_of(),
        facts(100, 15, covered=100),
        0,
        "100 activated - 85 sent since that was measured, 15 pending, enough for nqueue 10",
    ),
    (
        queue_of(),
        facts(100, 5, covered=97),
        3,
        "100 activated - 92 sent since that was measured, 5 pending, a burst of 3",
    ),
    (
        queue_of(),
        facts(100, 9, covered=105),
        0,
        "100 activated - 96 sent since that was measured, 9 pending, a burst of 0",
    ),
    (queue_of(), facts(100, 15, covered=15), 10, "100 activated, 15 pending, a burst of 10"),
]


@pytest.mark.parametrize(("params", "known", "out", "reason"), NQUEUE)
def test_nqueue(params: dict[str, Any], known: Facts, out: int, reason: str) -> None:
    one = link("nqueue", **params)
    step = one.plugin.step(777, known, one.params)
    assert (step.out, step.reason) == (out, reason)
    assert one.plugin.apf_step(777, known, one.params) == step


NUMBERS = st.integers(0, 60)


@given(r=NUMBERS, p=NUMBERS, u=NUMBERS, n=NUMBERS, boost=st.integers(1, 4), data=st.data())
def test_nqueue_is_its_formula(
    r: int, p: int, u: int, n: int, boost: int, data: st.DataObject
) -> None:
    limit = data.draw(st.one_of(st.none(), st.integers(1, 100)), "pilot_limit")
    most = data.draw(st.one_of(st.none(), st.integers(1, 60)), "max_pilots_per_cycle")
    bounds = {"pilot_limit": limit, "max_pilots_per_cycle": most}
    one = link("nqueue", nqueue=n, depth_boost=boost, **bounds)
    wanted = n if r > 0 and (p < n or (r > p and p < n * boost)) else 0
    wanted = wanted if most is None else min(wanted, most)
    wanted = wanted if limit is None else max(0, min(wanted, limit - (p + u)))
    assert one.plugin.step(0, facts(r, p, u), one.params).out == wanted


COMPAT = [
    # AutoPyFactory sets max-pending aside while nothing is pending
    ([("ready", {}), ("max-pending", {"maximum": 25})], facts(100), 25, 100),
    ([("ready", {}), ("max-pending", {"maximum": 25})], facts(100, 10), 15, 15),
    ([("ready", {}), ("max-pending", {"maximum": 25})], facts(100, held=10), 15, 15),
    ([("ready", {}), ("max-pending", {"maximum": 25})], facts(100, in_flight=10), 15, 15),
    ([("ready", {}), ("max-pending", {"maximum": 0})], facts(100), 0, 100),
    # ... and applies each cap where it stands, once
    (
        [("ready", {}), ("max-per-cycle", {"maximum": 5}), ("min-per-cycle", {"minimum": 8})],
        facts(100),
        5,
        8,
    ),
    (
        [("max-to-run", {"maximum": 5}), ("ready", {})],
        facts(100, 1),
        4,
        99,
    ),
    # ... and takes brokeroff for online
    ([("ready", {}), ("status-offline", {})], facts(100, status="brokeroff"), 0, 100),
    ([("ready", {}), ("status-offline", {})], facts(100, status="offline"), 0, 0),
    # Nothing else is any different.
    ([("fixed", {"pilots_per_cycle": 5000})], facts(), 1000, 1000),
    ([("keep-n-running", {"keep_running": 3})], facts(pending=9), 0, 0),
    ([("ready", {})], facts(100, 0, covered=100), 0, 0),
    ([("nqueue", {"nqueue": 30})], facts(100, 0, covered=100), 0, 0),
]


@pytest.mark.parametrize(("chain", "known", "ours", "theirs"), COMPAT)
def test_apf_compat(
    chain: list[tuple[str, dict[str, Any]]], known: Facts, ours: int, theirs: int
) -> None:
    links = [link(name, **params) for name, params in chain]
    assert decide("Q", links, known, max_submit(1000)).submit == ours
    compat = decide("Q", links, known, max_submit(1000), compat=True)
    assert compat.submit == theirs
    assert not any(step.reason.startswith("cap again") for step in compat.steps)
