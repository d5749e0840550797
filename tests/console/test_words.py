"""Store, columns, filter and words, without a screen."""

from itertools import pairwise

import pytest
from rich.cells import cell_len

from apftui.console import columns, filter, format
from apftui.console.store import Change, Link, Store
from apftui.console.widgets.paint import Item, fit, fitted
from core.api.models import Hello, QueueStatus, Snapshot, SourceStatus
from core.model.decision import Decision, TraceStep
from tests.console import scenes


def page(*queues: QueueStatus, version: int = 1, boot: str = "boot-1", **more: object) -> Snapshot:
    told = {"boot": boot, "version": version, "full": False, "factory": scenes.factory()}
    return Snapshot.model_validate(told | {"queues": queues} | more)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "?"), (0, "0"), (9999, "9999"), (10_000, "10.0k"), (99_999, "99.9k"),
        (100_000, "100k"), (999_999, "999k"), (1_000_000, "1.0M"), (123_456_789, "123.4M"),
    ],
)  # fmt: skip
def test_number(value: int | None, text: str) -> None:
    assert format.number(value) == text


def test_a_total_says_that_something_in_it_is_unknown() -> None:
    assert format.total([1, 2]) == "3"
    assert format.total([1, None]) == "1+?"
    assert format.total([None]) == "?"
    assert format.total([]) == "0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (-3, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"),
        (7200, "2h"), (172_799, "47h"), (172_800, "2d"), (10**9, "999d"),
    ],
)  # fmt: skip
def test_age(seconds: float | None, text: str) -> None:
    assert format.age(seconds) == text
    assert len(text) <= 4


def test_last_decision() -> None:
    assert format.last(None) == "–"
    assert format.last(Decision(queue="q")) == "0"
    assert format.last(Decision(queue="q", submit=3)) == "+3"
    assert format.last(Decision(queue="q", remove=2)) == "-2"
    assert format.last(Decision(queue="q", blind=True, blind_because="x")) == "blind"


def test_why_is_the_step_that_bound_it() -> None:
    queue = scenes.queue("q", 1220, 93)
    assert format.why(queue) == "max-pending: at most 100 pending, 93 are: room for 7"
    assert format.why(scenes.queue("q", 4, 4)) == "ready: 4 activated - 4 pending"
    assert format.why(scenes.queue("q", reason="paused by rs")) == "paused by rs"
    assert format.why(scenes.queue("q", decision=None)) == "not decided yet"
    twice = Decision(
        queue="q",
        bound_by="cap",
        steps=(
            TraceStep(plugin="cap", in_=9, out=5, reason="first"),
            TraceStep(plugin="floor", in_=5, out=9, reason="raised"),
            TraceStep(plugin="cap", in_=9, out=5, reason="cap again: second"),
        ),
    )
    assert format.why(scenes.queue("q", decision=twice)) == "cap: cap again: second"


@pytest.mark.parametrize("width", range(10, 260))
def test_columns_fit_and_the_name_keeps_its_least(width: int) -> None:
    places = columns.layout(width, 30)
    assert places[0].column is columns.QUEUE
    assert places[0].width >= columns.NAME_MIN
    for left, right in pairwise(places):
        assert left.x + left.width < right.x
    if len(places) > 1:
        assert places[-1].x + places[-1].width <= width


def test_eighty_columns_show_what_an_operator_needs() -> None:
    titles = [place.column.title for place in columns.layout(80, 40)]
    assert titles == ["QUEUE", "STATE", "ACT", "PEND", "RUN", "HELD", "LAST", "BOUND BY", "AGE"]


def test_columns_only_come_when_it_gets_wider() -> None:
    before: set[str] = set()
    for width in range(10, 260):
        if width == 100:  # from here on two cells stand between columns
            before = set()
        titles = {place.column.title for place in columns.layout(width, 18)}
        assert before <= titles, width
        before = titles


def test_how_pilots_ended_has_its_columns_and_a_failure_its_ink() -> None:
    done, failed = (
        next(c for c in columns.COLUMNS if c.title == title) for title in ("DONE/h", "FAIL/h")
    )
    some = scenes.queue("some", done=12_345, failed=3)
    none = scenes.queue("none", done=0, failed=0)
    unknown = scenes.queue("unknown", done=None, failed=None)
    assert [done.cell(q) for q in (some, none, unknown)] == [
        ("12.3k", ""), ("0", "dim"), ("?", "dim"),
    ]  # fmt: skip
    assert [failed.cell(q) for q in (some, none, unknown)] == [
        ("3", "warn"), ("0", "dim"), ("?", "dim"),
    ]  # fmt: skip
    keys = {q.name: failed.key(q) for q in (unknown, none, some)}
    assert columns.order(keys, failed.descending) == ["some", "none", "unknown"]


def test_a_batch_system_that_does_not_answer_is_one_alarm_and_not_two() -> None:
    told = [
        SourceStatus(kind=kind, name="main", plugin="htcondor", state="failed", problem="down")
        for kind in ("batch", "outcomes")
    ]
    store = Store()
    store.apply(page(factory=scenes.factory(sources=told)), 1.0)
    assert store.alarms() == ("batch main failed: down",)


def test_unknown_sorts_last_in_either_direction() -> None:
    keys = {"b": 2, "a": 2, "c": None, "d": 9}
    assert columns.order(keys, descending=False) == ["a", "b", "d", "c"]
    assert columns.order(keys, descending=True) == ["d", "a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "CERN_A CERN_B BNL"), ("cern", "CERN_A CERN_B"), ("!cern", "BNL"),
        ("cern !b", "CERN_A"), ("state:bli", "CERN_B"), ("!state:blind", "CERN_A BNL"),
        ("!", "CERN_A CERN_B BNL"), ("state:", "CERN_A CERN_B BNL"), ("[", ""), (".*", ""),
        ("!state:", "CERN_A CERN_B BNL"),
    ],
)  # fmt: skip
def test_filter(text: str, names: str) -> None:
    queues = [
        scenes.queue("CERN_A"), scenes.queue("CERN_B", state="blind"), scenes.queue("BNL")
    ]  # fmt: skip
    fits = filter.parse(text)
    assert [queue.name for queue in queues if fits(queue)] == names.split()


@pytest.mark.parametrize(
    "text", ["", "a", "abcdef", "漢字漢字", "e\u0301e\u0301", "🚀🚀🚀", "\x1b[2J"]
)
@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_a_cell_has_its_width(text: str, width: int) -> None:
    for right in (False, True):
        assert cell_len(fitted(text, width, right=right)) == width


def test_items_are_dropped_whole_and_the_least_important_first() -> None:
    items = [Item(2, [("aaaa", "")]), Item(0, [("bbbb", "")]), Item(1, [("cccc", "")])]
    assert fit(items, 16, 2) == items
    assert fit(items, 15, 2) == items[1:]
    assert fit(items, 4, 2) == [items[1]]


def test_a_full_snapshot_replaces_all_at_once() -> None:
    store = Store()
    told: list[Change] = []
    store.subscribe(told.append)
    store.apply(page(scenes.queue("a"), version=1, full=True), 1.0)
    assert list(store.queues) == ["a"]
    store.apply(page(scenes.queue("b"), version=5, full=True, more=True), 2.0)
    assert list(store.queues) == ["a"], "half a snapshot is not shown"
    store.apply(page(scenes.queue("c"), version=6), 3.0)
    assert list(store.queues) == ["b", "c"]
    assert told == [Change(None), Change(frozenset()), Change(None)]


def test_changes_and_what_is_gone() -> None:
    store = Store()
    store.apply(page(scenes.queue("a"), scenes.queue("b"), full=True), 1.0)
    told: list[Change] = []
    leave = store.subscribe(told.append)
    store.apply(page(scenes.queue("a", 7), version=2, gone=("b", "never")), 2.0)
    assert list(store.queues) == ["a"]
    assert store.queues["a"].queue.activated == 7
    assert store.queues["a"].decided_age(5.0) == 12.0 + 3.0
    assert told == [Change(frozenset({"a", "b", "never"}))]
    leave()
    store.lose("gone")
    assert len(told) == 1


def test_a_loss_in_the_middle_of_a_full_snapshot_asks_for_all_again() -> None:
    store = Store()
    store.apply(page(scenes.queue("a"), version=1, full=True), 1.0)
    store.apply(page(scenes.queue("b"), version=5, full=True, more=True, boot="2"), 2.0)
    store.lose("cut")
    assert store.version == 0
    assert store.link is Link.STALE
    assert list(store.queues) == ["a"]


def test_alarms() -> None:
    store = Store()
    assert store.alarms() == ()
    hello = Hello(protocol=7, version="9.1", boot="b", config="c", started_by="s", name="n", pid=1)
    store.greet(hello)
    assert store.alarms() == (
        "the factory speaks protocol 7, this console 1: read-only; use apftui 9.1",
    )


def test_a_submission_on_its_way_is_no_alarm_but_one_that_stays_without_an_outcome_is() -> None:
    store = Store()
    some, none = scenes.factory(unresolved=2), scenes.factory()
    store.apply(page(full=True, factory=some), 1.0)
    store.apply(page(version=2, factory=some), 15.0)
    assert store.alarms() == ()
    store.apply(page(version=3, factory=some), 16.0)
    assert store.alarms() == ("2 submissions have an unknown outcome: apftui intent list",)
    store.apply(page(version=4, factory=none), 17.0)
    store.apply(page(version=5, factory=some), 18.0)
    assert store.alarms() == ()
