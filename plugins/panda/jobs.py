"""Jobs of one queue as the statistics have them: {resource type: {label: {state: number}}}."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from core.model.text import clean

RUNNING = ("sent", "starting", "running")
"""States in which a job has a pilot's slot."""

TEST_LABELS = ("test", "prod_test", "install")
"""All that pilots for user, managed and unified jobs are given while a queue's status is test."""

_MOST_STATES = 20
_MOST_JOBS = 10**9

ByLabel = Mapping[str, Counter[str]]


class Odd(ValueError):
    """The server's numbers of a queue cannot be read; `str()` says what is odd."""


class Jobs(NamedTuple):
    """What is told of a queue."""

    activated: int
    running: int
    other: dict[str, int]
    """Every other state that has jobs."""


def by_label(queue: object, resource_type: str | None, labels: Collection[str]) -> ByLabel:
    """Count states by label, of one resource type (None: all) and `labels` (empty: all).

    Raise Odd if something of it has another shape; what is not asked for may have any.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, by_name in _entries(queue, "its jobs"):
        if resource_type is not None and kind != resource_type:
            continue
        for label, states in _entries(by_name, f"resource type {clean(kind, 40)}"):
            if labels and label not in labels:
                continue
            place = f"{clean(kind, 40)}, label {clean(label, 40)}"
            for state, n in _entries(states, place):
                found[label][state] += _number(n, f"{place}, state {clean(state, 40)}")
    return found


def total(counts: ByLabel) -> Jobs:
    """Add up all labels."""
    states: Counter[str] = Counter()
    for each in counts.values():
        states.update(each)
    activated = states.pop("activated", 0)
    running = sum(states.pop(state, 0) for state in RUNNING)
    return Jobs(activated, running, _told(states))


def activated(counts: ByLabel, labels: Collection[str]) -> int:
    """Count what waits under these labels."""
    return sum(counts[label]["activated"] for label in labels if label in counts)


def counting_in_test(labels: Collection[str], known_tests: Collection[str]) -> tuple[str, ...]:
    """Return the labels that a queue's pilots are given jobs of while its status is test.

    A queue for test jobs alone (`rc_test2`) gets just these; any other the standard ones.
    """
    own = tuple(label for label in labels if label in known_tests)
    return own or TEST_LABELS


def _told(states: Counter[str]) -> dict[str, int]:
    told: Counter[str] = Counter()
    for number, (state, n) in enumerate(states.most_common()):
        if n:
            told[clean(state, 40) if number < _MOST_STATES else "and more"] += n
    return dict(told)


def _entries(table: object, what: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(table, dict):
        raise Odd(f"{what}: {clean(repr(table), 40)} where a table belongs")
    return iter(table.items())


def _number(n: object, what: str) -> int:
    if type(n) is not int or not 0 <= n <= _MOST_JOBS:
        raise Odd(f"{what}: {clean(repr(n), 40)} is no number of jobs")
    return n
