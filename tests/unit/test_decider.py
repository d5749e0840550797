"""Steps in their real worker process; a third party's hang, die and talk nonsense in it."""

import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from core.decision.chain import Bound, Stop, max_submit
from core.decision.queues import Decided
from core.model.answers import WmsQuery
from core.model.facts import BatchFacts, Facts, Totals, WmsFacts
from core.model.plugin import NoParams, Params
from core.run import decider as module
from core.run.decider import Decider, Question
from core.settings.schema import ChainLink, QueueSettings
from plugins.sched.fixed import FixedParams
from plugins.sched.max_per_cycle import MaxPerCycleParams

DEADLINE = 2.0
"""For one step here; also a new process has to start in it."""

BOUND = max_submit(1000)


class Unruly(Params):
    """What the third party's step takes, for a test that has not loaded its module."""

    does: str
    at: int = 100
    seconds: float = 0.0


def fixed(n: int) -> ChainLink:
    return ChainLink(plugin="fixed", params=FixedParams(pilots_per_cycle=n))


def unruly(does: str, **params: Any) -> ChainLink:
    return ChainLink(plugin="unruly", params=Unruly(does=does, **params))


def asked(
    name: str,
    *chain: ChainLink,
    activated: int | None = 100,
    bound: Bound = BOUND,
    stop: Stop | None = None,
    compat: bool = False,
) -> Question:
    settings = QueueSettings(
        name=name,
        wms=None,
        query=WmsQuery(queue=name),
        batch="main",
        submit_plugin="local",
        submit_params=NoParams(),
        wrapper="generic",
        wrapper_parameters={},
        chain=chain,
        attributes={},
        environment={},
        paused=False,
        apf_compat=compat,
        revision="1",
        values=(),
    )
    facts = Facts(wms=WmsFacts(activated=activated), batch=BatchFacts(pending=1, held=2, running=3))
    return Question(settings, facts, bound, stop, 1.0)


async def decide(*questions: Question, totals: Totals | None = None) -> tuple[list[Decided], float]:
    """Decide, and tell how long it took."""
    decider = Decider()
    started = time.monotonic()
    try:
        decided = await decider.decide(questions, totals or Totals(pilots=0))
        return decided, time.monotonic() - started
    finally:
        await decider.worker.close()


def numbers(decided: list[Decided]) -> list[int | None]:
    """What is submitted, None for a queue whose steps failed."""
    return [None if d.failed else d.decision.submit for d in decided]


def why(decided: Decided) -> str:
    assert decided.failed
    assert decided.decision.submit == 0
    assert decided.decision.steps == ()
    assert decided.decision.blind
    assert decided.decision.blind_because
    assert decided.decision.blind_because.isprintable()
    return decided.decision.blind_because


@pytest.fixture(autouse=True)
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_DEADLINE_S", DEADLINE)
    monkeypatch.setattr(module, "MOST_LOST_S", 1.5 * DEADLINE)


async def test_queues_are_decided_in_order_with_their_own_facts() -> None:
    capped = ChainLink(plugin="max-per-cycle", params=MaxPerCycleParams(maximum=4))
    decided, _ = await decide(
        asked("A", fixed(5)),
        asked("B", fixed(5), capped),
        asked("C", fixed(5), bound=Bound("submit-limit", 2, "two at a time")),
        asked("D", fixed(5), stop=Stop("paused", "paused by op")),
        asked("E", unruly("fits")),
        asked("F", unruly("fits"), activated=None),
        asked("G", capped, fixed(5), compat=True),
    )
    assert [d.decision.queue for d in decided] == list("ABCDEFG")
    assert numbers(decided) == [5, 4, 2, 0, 5, 0, 5]
    assert [d.decision.bound_by for d in decided] == [
        None,
        "max-per-cycle",
        "submit-limit",
        "paused",
        None,
        None,
        None,
    ]
    assert decided[5].decision.blind_because == "activated is unknown: the WMS did not say"


async def test_no_queue_is_due() -> None:
    assert (await decide())[0] == []


@pytest.fixture(autouse=True)
def third_party(extras: Path) -> Path:
    return extras


async def test_a_step_that_raises_or_returns_nonsense() -> None:
    decided, _ = await decide(
        asked("A", fixed(5)),
        asked("B", unruly("raise")),
        asked("C", unruly("nan")),
        asked("D", unruly("none")),
        asked("E", unruly("raise"), activated=99),
        asked("F", fixed(5)),
    )
    assert numbers(decided) == [5, None, None, None, 5, 5]
    assert why(decided[1]) == (r"step unruly raised ValueError: no\x1b[2J\u202e step\x0ahere")
    assert why(decided[2]) == "step unruly: out: Input should be a valid integer, got float"
    assert why(decided[3]) == "step unruly returned None, not a Step"


async def test_a_step_that_hangs() -> None:
    decided, took = await decide(
        asked("A", fixed(5)),
        asked("B", unruly("hang")),
        asked("C", unruly("hang"), activated=99),
        asked("D", fixed(5)),
    )
    assert numbers(decided) == [5, None, 5, 5]
    assert why(decided[1]) == (
        "a step of unruly hung or broke on queue B: decider: no answer to decide within 2 s"
    )
    assert DEADLINE <= took < DEADLINE + 3


@pytest.mark.parametrize(("does", "code"), [("exit", "exit code 3"), ("leave", "exit code 1")])
async def test_a_step_that_ends_its_process(does: str, code: str) -> None:
    decided, _ = await decide(
        asked("A", fixed(5)),
        asked("B", unruly(does)),
        asked("C", unruly(does), activated=99),
        asked("D", fixed(5)),
    )
    assert numbers(decided) == [5, None, 5, 5]
    reason = why(decided[1])
    assert "unruly hung or broke on queue B: decider: its process ended during decide" in reason
    assert code in reason
    assert reason.endswith("going down" if does == "exit" else "bye")


async def test_a_step_that_hangs_everywhere_does_not_hold_up_the_pass() -> None:
    """Forty queues of it would take 80 s; those without it are decided, the first and the last."""
    hanging = [asked(f"H{n:02}", unruly("hang")) for n in range(40)]
    decided, took = await decide(asked("A", fixed(5)), *hanging, asked("Z", fixed(5)))
    assert numbers(decided) == [5, *[None] * 40, 5]
    assert took < 2 * DEADLINE + 3
    assert "on queue H00" in why(decided[1])
    assert "on queue H01" in why(decided[2])
    assert {why(d) for d in decided[3:-1]} == {why(decided[2])}


async def test_totals_go_on_over_a_process_that_dies() -> None:
    capped = ChainLink(plugin="at-most-in-all", params=MaxPerCycleParams(maximum=12))
    decided, _ = await decide(
        asked("A", fixed(5), capped),
        asked("B", fixed(5), unruly("exit"), capped),
        asked("C", fixed(5), capped),
        asked("D", unruly("raise"), capped),
        asked("E", fixed(5), capped),
        totals=Totals(pilots=1),
    )
    assert numbers(decided) == [5, None, 5, None, 1]
    assert decided[4].decision.steps[-1].reason == "at most 12 in all, there are 11"


async def test_the_next_pass_finds_a_new_process() -> None:
    decider = Decider()
    try:
        for _ in range(2):
            questions = [asked("A", unruly("exit")), asked("B", fixed(5))]
            assert numbers(await decider.decide(questions, Totals())) == [None, 5]
    finally:
        await decider.worker.close()


async def test_a_plug_in_that_is_gone() -> None:
    """Uninstalled while the factory runs: its queues say so, the others go on."""
    gone = ChainLink(plugin="whole-nods", params=NoParams())
    decided, _ = await decide(asked("A", gone), asked("B", fixed(5)))
    assert numbers(decided) == [None, 5]
    assert "no sched plug-in 'whole-nods' is installed" in why(decided[0])


async def test_many_slow_steps_are_no_hanging_step() -> None:
    """The deadline is one queue's: together they may take longer."""
    slow = [asked(f"Q{n}", unruly("fits", seconds=0.6)) for n in range(8)]
    decided, took = await decide(*slow)
    assert numbers(decided) == [5] * 8
    assert took > DEADLINE + 2, "else the kernel's timer was not put to the test"


async def test_answers_that_nobody_reads_are_not_those_to_the_next_question() -> None:
    worker = Decider().worker

    def asks(*names: str) -> Any:
        due = [module._json(asked(name, fixed(1))) for name in names]
        return aclosing(worker.stream("decide", 20.0, due=due, totals={"pilots": 0}))

    try:
        async with asks("A", "B", "C") as answers:
            async for _ in answers:
                break
        async with asks("D", "E") as answers:
            assert [decision["queue"] async for decision, _ in answers] == ["D", "E"]
    finally:
        await worker.close()
