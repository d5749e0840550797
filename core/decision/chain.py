"""The chain: sched plug-ins in order, then every cap once more."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from core.model.decision import Decision, Step, TraceStep
from core.model.errors import ApftuiError
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched
from core.model.text import clean


class Link(NamedTuple):
    """One sched plug-in of a chain with its parameters."""

    name: str
    plugin: Sched[Any]
    params: Params


class Stop(NamedTuple):
    """Why a queue submits nothing whatever its chain says: `paused` or `draining`, and by whom."""

    name: str
    reason: str


class Bound(NamedTuple):
    """The most that one pass may submit for a queue, whatever a plug-in says, and why."""

    name: str
    n: int
    reason: str


class StepFailed(ApftuiError):
    """A step raised or returned nonsense: the queue does nothing this pass."""


def max_submit(n: int) -> Bound:
    """Return the bound that the settings set."""
    return Bound("max_submit", n, f"[factory] max_submit allows {n} a pass")


def needs(chain: Sequence[Link]) -> frozenset[Fact]:
    """Return the facts that the chain cannot do without; pilots are always among them."""
    return frozenset({Fact.BATCH}).union(*(link.plugin.needs for link in chain))


def decide(
    queue: str,
    chain: Sequence[Link],
    facts: Facts,
    bound: Bound,
    stop: Stop | None = None,
    compat: bool = False,
) -> Decision:
    """Run `chain` on `facts`.

    Blind if a needed fact is unknown. After the chain: caps again, `bound`, `stop`, and
    nothing below 0. `compat`: AutoPyFactory's arithmetic where it differs, and no caps again.
    Raise StepFailed if a step raises or returns something else than a Step.
    """
    missing = facts.missing(needs(chain))
    if missing:
        return Decision(queue=queue, blind=True, blind_because="; ".join(missing.values()))
    trace = _Trace()
    for link in chain:
        trace.add(link.name, _run(link, trace.n, facts, compat))
    for link in () if compat else chain:
        if link.plugin.role is Role.CAP:
            again = _run(link, trace.n, facts)
            if again.out < trace.n:
                trace.add(link.name, Step(out=again.out, reason=f"cap again: {again.reason}"))
    if trace.n > bound.n:
        trace.add(bound.name, Step(out=bound.n, reason=bound.reason))
    if stop is not None and trace.n > 0:
        trace.add(stop.name, Step(out=0, reason=stop.reason))
    if trace.n < 0:
        trace.add("no-removal", Step(out=0, reason="below 0: nothing is submitted or removed"))
    return Decision(queue=queue, submit=trace.n, bound_by=trace.bound_by, steps=tuple(trace.steps))


class _Trace:
    """The number as it goes through the chain, and what each step made of it."""

    def __init__(self) -> None:
        self.n = 0
        self.bound_by: str | None = None
        self.steps: list[TraceStep] = []

    def add(self, plugin: str, step: Step) -> None:
        self.steps.append(
            TraceStep(plugin=plugin, in_=self.n, out=step.out, reason=clean(step.reason, 300))
        )
        if step.out < self.n:
            self.bound_by = plugin
        self.n = step.out


def _run(link: Link, n: int, facts: Facts, compat: bool = False) -> Step:
    try:
        work = link.plugin.apf_step if compat else link.plugin.step
        step: Any = work(n, facts, link.params)
        if isinstance(step, Step):
            return Step(out=step.out, reason=step.reason)  # model_copy does not validate
        said = clean(repr(step), 100)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        got = type(first["input"]).__name__
        raise StepFailed(f"step {link.name}: {clean(what, 200)}, got {got}") from error
    except Exception as error:  # whatever a plug-in raises is the queue's problem, not ours
        text = clean(str(error), 200)
        raise StepFailed(f"step {link.name} raised {type(error).__name__}: {text}") from error
    raise StepFailed(f"step {link.name} returned {said}, not a Step")
