"""The arithmetic of every step, case by case, and the words in which it is told."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.decision.chain import Link, decide, max_submit
from core.model.facts import BatchFacts, Fact, Facts, WmsFacts
from core.model.plugin import Role
from core.settings.registry import plugin_class, plugin_names


def facts(
    activated: int | None = 0,
    pending: int | None = 0,
    running: int | None = 0,
    held: int | None = 0,
    in_flight: int = 0,
    covered: int | None = None,
    status: str | None = "online",
) -> Facts:
    batch = BatchFacts(
        pending=pending, running=running, held=held, in_flight=in_flight, covered=covered
    )
    return Facts(wms=WmsFacts(activated=activated, status=status), batch=batch)


def link(name: str, **params: Any) -> Link:
    kind = plugin_class("sched", name)
    return Link(name, kind(), kind.params(**params))


CASES = [
    # max(0, (R - offset) - P); ignores n
    ("ready", {}, 0, facts(100, 10, 8), 90, "100 activated - 10 pending"),
    ("ready", {"offset": 4}, 0, facts(100, 10, 8), 86, "100 activated - 4 offset - 10 pending"),
    ("ready", {"offset": 4}, 777, facts(100, 10, 8), 86, "100 activated - 4 offset - 10 pending"),
    ("ready", {}, -5, facts(3), 3, "3 activated - 0 pending"),
    ("ready", {}, 0, facts(10, 10), 0, "10 activated - 10 pending"),
    ("ready", {}, 0, facts(10, 11), 0, "10 activated - 11 pending"),
    ("ready", {"offset": 11}, 0, facts(10), 0, "10 activated - 11 offset - 0 pending"),
    ("ready", {}, 0, facts(0), 0, "0 activated - 0 pending"),
    ("ready", {}, 0, facts(10, running=10**6), 10, "10 activated - 0 pending"),
    ("ready", {}, 0, facts(10, 1, held=6), 3, "10 activated - 7 pending (6 held)"),
    (
        "ready",
        {},
        0,
        facts(10, 1, in_flight=2),
        7,
        "10 activated - 3 pending (2 in flight)",
    ),
    (
        "ready",
        {},
        0,
        facts(100, 10, covered=60),
        40,
        "100 activated - 10 pending - 50 sent since that was measured",
    ),
    ("ready", {}, 0, facts(100, 10, covered=10), 90, "100 activated - 10 pending"),
    # the number of its table; ignores n
    ("fixed", {"pilots_per_cycle": 7}, 0, facts(), 7, "7 every pass"),
    ("fixed", {"pilots_per_cycle": 7}, -99, facts(), 7, "7 every pass"),
    ("fixed", {"pilots_per_cycle": 0}, 5, facts(), 0, "0 every pass"),
    ("null", {}, 50, facts(100), 0, "this chain submits nothing"),
    ("null", {}, -50, facts(100), 0, "this chain submits nothing"),
    # ceil(n * factor)
    ("scale", {"factor": 0.5}, 86, facts(), 43, "86 x 0.5, rounded up"),
    ("scale", {"factor": 0.5}, 7, facts(), 4, "7 x 0.5, rounded up"),
    ("scale", {"factor": 0.5}, -7, facts(), -3, "-7 x 0.5, rounded up"),
    ("scale", {"factor": 0.1}, 7, facts(), 1, "7 x 0.1, rounded up"),
    ("scale", {"factor": 0.07}, 100, facts(), 7, "100 x 0.07, rounded up"),
    ("scale", {"factor": 1e-9}, 1, facts(), 1, "1 x 1e-09, rounded up"),
    ("scale", {"factor": 0}, 10, facts(), 0, "10 x 0, rounded up"),
    ("scale", {}, 3, facts(), 3, "3 x 1, rounded up"),
    ("scale", {"factor": 2.5}, 3, facts(), 8, "3 x 2.5, rounded up"),
    # min(n, maximum)
    ("max-per-cycle", {"maximum": 100}, 43, facts(), 43, "at most 100 a pass"),
    ("max-per-cycle", {"maximum": 42}, 43, facts(), 42, "at most 42 a pass"),
    ("max-per-cycle", {"maximum": 0}, 43, facts(), 0, "at most 0 a pass"),
    ("max-per-cycle", {"maximum": 5}, -9, facts(), -9, "at most 5 a pass"),
    # max(n, minimum)
    ("min-per-cycle", {"minimum": 3}, 1, facts(), 3, "at least 3 a pass"),
    ("min-per-cycle", {"minimum": 3}, 4, facts(), 4, "at least 3 a pass"),
    ("min-per-cycle", {"minimum": 0}, -9, facts(), 0, "at least 0 a pass"),
    # min(n, maximum - P), strict: also when nothing is pending
    (
        "max-pending",
        {"maximum": 25},
        43,
        facts(pending=10),
        15,
        "at most 25 pending, 10 are: room for 15",
    ),
    ("max-pending", {"maximum": 25}, 43, facts(), 25, "at most 25 pending, 0 are: room for 25"),
    (
        "max-pending",
        {"maximum": 25},
        5,
        facts(pending=30),
        -5,
        "at most 25 pending, 30 are: room for 0",
    ),
    (
        "max-pending",
        {"maximum": 25},
        -9,
        facts(pending=30),
        -9,
        "at most 25 pending, 30 are: room for 0",
    ),
    (
        "max-pending",
        {"maximum": 25},
        43,
        facts(held=25),
        0,
        "at most 25 pending, 25 are (25 held): room for 0",
    ),
    (
        "max-pending",
        {"maximum": 25},
        43,
        facts(pending=4, held=3, in_flight=2, running=99),
        16,
        "at most 25 pending, 9 are (3 held, 2 in flight): room for 16",
    ),
    # max(n, minimum - P)
    (
        "min-pending",
        {"minimum": 25},
        3,
        facts(pending=10),
        15,
        "at least 25 pending, 10 are: 15 short",
    ),
    (
        "min-pending",
        {"minimum": 5},
        3,
        facts(pending=10),
        3,
        "at least 5 pending, 10 are: 0 short",
    ),
    (
        "min-pending",
        {"minimum": 5},
        -7,
        facts(pending=10),
        -5,
        "at least 5 pending, 10 are: 0 short",
    ),
    (
        "min-pending",
        {"minimum": 5},
        0,
        facts(held=3),
        2,
        "at least 5 pending, 3 are (3 held): 2 short",
    ),
    # min(n, maximum - (P + U))
    (
        "max-to-run",
        {"maximum": 25},
        43,
        facts(pending=4, held=3, in_flight=1, running=8),
        9,
        "at most 25 pilots, there are 16: room for 9",
    ),
    (
        "max-to-run",
        {"maximum": 25},
        43,
        facts(running=30),
        -5,
        "at most 25 pilots, there are 30: room for 0",
    ),
    (
        "max-to-run",
        {"maximum": 25},
        4,
        facts(running=8),
        4,
        "at most 25 pilots, there are 8: room for 17",
    ),
    # pilots in the place of the number while the WMS says test
    ("status-test", {}, 7, facts(status="online"), 7, "the WMS says online, not test"),
    ("status-test", {}, 7, facts(status="test"), 0, "the WMS says test: 0 a pass"),
    ("status-test", {"pilots": 2}, 7, facts(status="test"), 2, "the WMS says test: 2 a pass"),
    ("status-test", {"pilots": 2}, 0, facts(status="test"), 2, "the WMS says test: 2 a pass"),
    ("status-test", {"pilots": 2}, 7, facts(status="offline"), 7, "the WMS says offline, not test"),
    # the same while it says offline or brokeroff
    (
        "status-offline",
        {},
        7,
        facts(status="online"),
        7,
        "the WMS says online, not offline or brokeroff",
    ),
    (
        "status-offline",
        {},
        7,
        facts(status="test"),
        7,
        "the WMS says test, not offline or brokeroff",
    ),
    ("status-offline", {}, 7, facts(status="offline"), 0, "the WMS says offline: 0 a pass"),
    ("status-offline", {}, 7, facts(status="brokeroff"), 0, "the WMS says brokeroff: 0 a pass"),
    (
        "status-offline",
        {"pilots": 1},
        0,
        facts(status="brokeroff"),
        1,
        "the WMS says brokeroff: 1 a pass",
    ),
    # keep_running - (P + U), or n - (P + U)
    ("keep-n-running", {}, 20, facts(), 20, "keep 20 pilots, there are 0"),
    (
        "keep-n-running",
        {},
        20,
        facts(pending=4, held=3, in_flight=1, running=8),
        4,
        "keep 20 pilots, there are 16",
    ),
    ("keep-n-running", {}, 20, facts(running=30), -10, "keep 20 pilots, there are 30"),
    (
        "keep-n-running",
        {"keep_running": 18},
        999,
        facts(pending=10, running=3),
        5,
        "keep 18 pilots, there are 13",
    ),
    (
        "keep-n-running",
        {"keep_running": 0},
        999,
        facts(pending=1),
        -1,
        "keep 0 pilots, there are 1",
    ),
]


@pytest.mark.parametrize(("name", "params", "n", "known", "out", "reason"), CASES)
def test_one_step(
    name: str, params: dict[str, Any], n: int, known: Facts, out: int, reason: str
) -> None:
    one = link(name, **params)
    step = one.plugin.step(n, known, one.params)
    assert (step.out, step.reason) == (out, reason)


ROLES_AND_NEEDS = [
    ("ready", Role.SOURCE, {Fact.WMS, Fact.BATCH}),
    ("fixed", Role.SOURCE, {Fact.BATCH}),
    ("null", Role.SOURCE, {Fact.BATCH}),
    ("scale", Role.SHAPE, {Fact.BATCH}),
    ("max-per-cycle", Role.CAP, {Fact.BATCH}),
    ("min-per-cycle", Role.FLOOR, {Fact.BATCH}),
    ("max-pending", Role.CAP, {Fact.BATCH}),
    ("min-pending", Role.FLOOR, {Fact.BATCH}),
    ("max-to-run", Role.CAP, {Fact.BATCH}),
    ("status-test", Role.CAP, {Fact.WMS_STATUS, Fact.BATCH}),
    ("status-offline", Role.CAP, {Fact.WMS_STATUS, Fact.BATCH}),
    ("keep-n-running", Role.SHAPE, {Fact.BATCH}),
    ("activated", Role.SOURCE, {Fact.WMS, Fact.WMS_STATUS, Fact.BATCH}),
    ("nqueue", Role.SOURCE, {Fact.WMS, Fact.BATCH}),
    ("fill-activated", Role.SOURCE, {Fact.WMS, Fact.BATCH}),
]


def test_every_step_has_its_cases() -> None:
    assert {row[0] for row in ROLES_AND_NEEDS} == set(plugin_names("sched"))


@pytest.mark.parametrize(("name", "role", "needs"), ROLES_AND_NEEDS)
def test_what_a_step_is_and_needs(name: str, role: Role, needs: set[Fact]) -> None:
    kind = plugin_class("sched", name)
    assert kind.role is role
    assert kind.needs == needs


PARAMETERS = [
    ("ready", "offset", 3),
    ("fixed", "pilots_per_cycle", 3),
    ("max-per-cycle", "maximum", 3),
    ("min-per-cycle", "minimum", 3),
    ("max-pending", "maximum", 3),
    ("min-pending", "minimum", 3),
    ("max-to-run", "maximum", 3),
    ("scale", "factor", 0.5),
    ("status-test", "pilots", 3),
    ("status-offline", "pilots", 3),
    ("keep-n-running", "keep_running", 3),
    ("activated", "default", 3),
    ("activated", "max_jobs_torun", 3),
    ("activated", "min_pilots_pending", 3),
    ("activated", "max_pilots_per_cycle", 3),
    ("activated", "min_pilots_per_cycle", 3),
    ("activated", "max_pilots_pending", 3),
    ("nqueue", "nqueue", 3),
    ("nqueue", "depth_boost", 3),
    ("nqueue", "pilot_limit", 3),
    ("nqueue", "max_pilots_per_cycle", 3),
    ("fill-activated", "offset", 3),
]
ONLY_IF_SET = {
    *("keep_running", "pilot_limit", "max_jobs_torun", "min_pilots_pending"),
    *("max_pilots_per_cycle", "min_pilots_per_cycle", "max_pilots_pending"),
}


@pytest.mark.parametrize(("name", "key", "good"), PARAMETERS)
def test_parameters_are_numbers_that_make_sense(name: str, key: str, good: float) -> None:
    params = plugin_class("sched", name).params
    more = {"nqueue": 3} if name == "nqueue" and key != "nqueue" else {}
    assert getattr(params(**{key: good}, **more), key) == good
    if key in ONLY_IF_SET:
        assert getattr(params(**more), key) is None
    for wrong in (-1, "many", float("nan"), float("inf"), *([] if key in ONLY_IF_SET else [None])):
        with pytest.raises(ValidationError):
            params(**{key: wrong}, **more)
    with pytest.raises(ValidationError):
        params(**{key: good, "maximun": 3}, **more)
    assert params.model_json_schema()["properties"][key]["description"].endswith(".")


@pytest.mark.parametrize("name", ["max-per-cycle", "max-pending", "max-to-run"])
def test_a_cap_without_its_number_is_an_error(name: str) -> None:
    with pytest.raises(ValidationError, match="maximum"):
        plugin_class("sched", name).params()


EVERYDAY = (
    link("ready", offset=4),
    link("scale", factor=0.5),
    link("max-per-cycle", maximum=100),
    link("max-pending", maximum=25),
)


def test_the_everyday_chain() -> None:
    decision = decide("Q", EVERYDAY, facts(100, 10, 8), max_submit(1000))
    assert [s.out for s in decision.steps] == [86, 43, 43, 15]
    assert (decision.submit, decision.bound_by) == (15, "max-pending")
    assert decision.model_dump(mode="json", by_alias=True) == {
        "queue": "Q",
        "submit": 15,
        "remove": 0,
        "blind": False,
        "blind_because": None,
        "bound_by": "max-pending",
        "steps": [
            {
                "plugin": "ready",
                "in": 0,
                "out": 86,
                "reason": "100 activated - 4 offset - 10 pending",
            },
            {"plugin": "scale", "in": 86, "out": 43, "reason": "86 x 0.5, rounded up"},
            {"plugin": "max-per-cycle", "in": 43, "out": 43, "reason": "at most 100 a pass"},
            {
                "plugin": "max-pending",
                "in": 43,
                "out": 15,
                "reason": "at most 25 pending, 10 are: room for 15",
            },
        ],
    }


UNKNOWN = [
    (facts(None, 10, 8), "activated is unknown: the WMS did not say"),
    (facts(100, None, 8), "pilots are unknown: no number for pending"),
    (facts(100, 10, None), "pilots are unknown: no number for running"),
    (facts(100, 10, 8, held=None), "pilots are unknown: no number for held"),
    (
        facts(None, None, None, None),
        "activated is unknown: the WMS did not say;"
        " pilots are unknown: no number for pending, held, running",
    ),
]


@pytest.mark.parametrize(("known", "why"), UNKNOWN)
def test_unknown_is_never_0(known: Facts, why: str) -> None:
    """With 0 in the place of the unknown each of these would submit."""
    decision = decide("Q", EVERYDAY, known, max_submit(1000))
    assert decision.model_dump(mode="json", by_alias=True) == {
        "queue": "Q",
        "submit": 0,
        "remove": 0,
        "blind": True,
        "blind_because": why,
        "bound_by": None,
        "steps": [],
    }


def test_pilots_must_be_known_even_to_a_chain_that_asks_for_nothing() -> None:
    chain = [link("fixed", pilots_per_cycle=5)]
    assert decide("Q", chain, facts(None, 1, 1), max_submit(9)).submit == 5
    assert decide("Q", chain, facts(None, None, 1), max_submit(9)).blind


def test_a_step_that_looks_at_the_status_is_blind_without_it() -> None:
    for name in ("status-test", "status-offline", "activated"):
        chain = [link("fixed", pilots_per_cycle=5), link(name)]
        for compat in (False, True):
            told = decide("Q", chain, facts(9, status=None), max_submit(9), compat=compat)
            assert (told.blind, told.submit, told.steps) == (True, 0, ())
            assert told.blind_because == "the queue's status is unknown: the WMS did not say"


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize(
    ("step", "status"),
    [("status-offline", "offline"), ("status-offline", "brokeroff"), ("status-test", "test")],
)
def test_no_floor_lifts_an_offline_queue_but_that_of_autopyfactory(
    step: str, status: str, compat: bool
) -> None:
    chain = [link("ready"), link(step), link("min-pending", minimum=4)]
    told = decide("Q", chain, facts(9, status=status), max_submit(99), compat=compat)
    offline_in_apf = compat and status == "brokeroff"
    assert told.submit == (9 if offline_in_apf else 4 if compat else 0)
    assert (told.bound_by == step) is not offline_in_apf


def test_fill_activated_is_ready() -> None:
    assert plugin_class("sched", "fill-activated") is plugin_class("sched", "ready")
    told = decide("Q", [link("fill-activated", offset=4)], facts(100, 10), max_submit(99))
    assert (told.submit, told.steps[0].plugin) == (86, "fill-activated")


def test_a_target_becomes_a_change() -> None:
    chain = [link("fixed", pilots_per_cycle=20), link("keep-n-running")]
    assert decide("Q", chain, facts(pending=4, running=8), max_submit(99)).submit == 8
    told = decide("Q", chain, facts(pending=4, running=30), max_submit(99))
    assert [(s.plugin, s.out) for s in told.steps][1:] == [
        ("keep-n-running", -14),
        ("no-removal", 0),
    ]
