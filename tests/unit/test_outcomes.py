"""The last hour: every pilot once, nothing that is older, and unknown where nobody told."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from core.model.answers import BatchAnswer, BatchCount, Ended, EndedAnswer, OutcomeAnswer
from core.model.answers import OutcomeCount as Count
from core.model.plugin import Batch, NoParams
from core.run.board import Row
from core.run.generation import Generation, outcome_source
from core.run.last_hour import LastHour
from core.run.outcomes import OutcomeSource
from core.run.outstanding import Outstanding
from core.run.roles import OutcomesRole
from core.run.rows import rows
from core.run.source import Polled, Source
from core.run.worker import Worker
from core.settings.load import load
from core.settings.schema import SourceTiming
from tests.running import local_settings
from tests.unit.test_facts import Polls

NOW = 1_800_000_000.0


def ended(pilot: str, at: float = NOW, *, queue: str = "Q", done: bool = True) -> Ended:
    return Ended(pilot, queue, at, done)


def test_pilots_are_counted_by_queue_each_once_and_the_last_word_counts() -> None:
    hour = LastHour()
    told = [ended("1"), ended("2", done=False), ended("3", queue="R")]
    first = (Count(queue="Q", done=1, failed=1), Count(queue="R", done=1))
    assert hour.take(told, NOW) == first
    assert hour.take([*told, *told], NOW) == first
    assert hour.take([ended("4")], NOW) == (Count(queue="Q", done=2, failed=1), first[1])
    assert hour.take([ended("2")], NOW) == (Count(queue="Q", done=3), first[1])


def test_after_an_hour_a_pilot_is_forgotten_and_is_not_told_into_the_count_again() -> None:
    hour = LastHour()
    told = [ended("1", NOW - 3599), ended("2", NOW - 3600), ended("3", NOW - 10)]
    assert hour.take(told, NOW) == (Count(queue="Q", done=2),)
    assert hour.take(told, NOW + 60) == (Count(queue="Q", done=1),)
    assert hour.take([], NOW + 3600) == ()


def test_a_hundred_thousand_pilots_an_hour_cost_little_at_each_poll() -> None:
    hour = LastHour()
    rng = random.Random(3)
    many = [
        ended(f"ce.example.org#{i}.0#1800000000", NOW - rng.random() * 3600, queue=f"Q{i % 1000}")
        for i in range(100_000)
    ]
    hour.take(many, NOW)
    new = [ended(f"ce.example.org#{i}.1#1800000000", NOW + 30) for i in range(1700)]
    began = time.process_time()
    counts = hour.take([*many[-1700:], *new], NOW + 60)
    assert time.process_time() - began < 1.0  # 0.1 s on a quiet machine
    assert 98_000 < sum(c.done for c in counts) < 101_700


def source(answer: OutcomeAnswer | None, at: float = 100.0) -> OutcomeSource:
    timing = SourceTiming(period=60, deadline=20, max_age=180)
    made = Source(Worker("outcomes main", "outcomes", {}), timing, OutcomeAnswer, dict[str, Any])
    made.last = None if answer is None else Polled(answer, at, at)
    return OutcomeSource(made)


def test_a_queue_that_the_answer_leaves_out_had_none_end_and_no_answer_is_unknown() -> None:
    told = source(OutcomeAnswer(counts=(Count(queue="Q", done=3, failed=1),)))
    assert told.count("Q", 110) == Count(queue="Q", done=3, failed=1)
    assert told.count("R", 110) == Count(queue="R", done=0, failed=0)
    assert told.count("Q", 281) is None
    assert source(None).count("Q", 110) is None


def row_of(outcomes: dict[str, OutcomeSource]) -> Row:
    """Return the row of a queue that has left pilots on two batch systems."""
    polls = Polls(batches=("main", "other"))
    for name in ("main", "other"):
        polls.batch(100, BatchCount(queue="OLD", running=1), name=name)
    polls.sources.outcomes = outcomes
    generation = Generation(polls.settings, polls.sources, {}, {})
    (row,) = rows(generation, {}, Outstanding([]), lambda _: None, 110)
    return row


def draining(outcomes: dict[str, OutcomeSource]) -> tuple[int | None, int | None]:
    row = row_of(outcomes)
    return row.done, row.failed


def test_a_queue_that_left_pilots_on_two_batch_systems_has_the_sum_or_nothing() -> None:
    main = source(OutcomeAnswer(counts=(Count(queue="OLD", done=3, failed=1),)))
    other = source(OutcomeAnswer(counts=(Count(queue="OLD", done=4),)))
    assert draining({"main": main, "other": other}) == (7, 1)
    assert draining({"main": main, "other": source(None)}) == (None, None)
    assert draining({"main": main}) == (None, None)


def test_another_answer_with_the_same_numbers_is_no_news() -> None:
    answer = OutcomeAnswer(counts=(Count(queue="OLD", done=3, failed=1),))
    before, after = (
        row_of({"main": source(answer, at), "other": source(answer, at)}) for at in (60, 100)
    )
    assert (before, before.done) == (after, 6)


class Silent(Batch[NoParams]):
    """A batch system that does not tell."""

    def poll(self, factory: str, instance: str) -> BatchAnswer:
        return BatchAnswer(schedd="s", counts=())


class Telling(Silent):
    """One that does."""

    def ended(self, factory: str, instance: str, since: float) -> EndedAnswer:
        now = time.time()
        assert abs(now - 3600 - since) < 5
        return EndedAnswer([ended(f"{factory}/{instance}", now)], "begins\x1b[2J at noon")


def test_the_worker_asks_the_plug_in_and_answers_with_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.run.roles.plugin_class", lambda *_: Telling)
    role = OutcomesRole("telling", {})
    for _ in range(2):
        answer = OutcomeAnswer.model_validate(role.poll("f", "i"))
        assert answer.counts == (Count(queue="Q", done=1),)
        assert answer.note == "begins\\x1b[2J at noon"


def test_a_batch_system_that_does_not_tell_is_never_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.toml").write_text(local_settings("[queues.Q]\n"))
    table = load(tmp_path / "f.toml").batch["here"]
    asked = outcome_source(table, "f", "i")
    assert asked is not None
    monkeypatch.setattr("core.run.generation.plugin_class", lambda *_: Silent)
    assert outcome_source(table, "f", "i") is None


@pytest.mark.parametrize(
    ("lines", "period", "deadline", "max_age"),
    [
        ("", 60, 60, 180),
        ("max_age = '10m'\ndeadline = '90s'", 60, 90, 600),
        ("outcomes_period = '10s'", 10, 20, 90),
    ],
)
def test_how_often_outcomes_are_asked_for(
    tmp_path: Path, lines: str, period: float, deadline: float, max_age: float
) -> None:
    (tmp_path / "f.toml").write_text(local_settings("[queues.Q]\n", batch=lines))
    timing = load(tmp_path / "f.toml").batch["here"].outcomes
    assert (timing.period, timing.deadline, timing.max_age) == (period, deadline, max_age)
