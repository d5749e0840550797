"""The contracts of the five kinds of plug-ins.

A plug-in is a class behind an entry point of the group `apftui.<kind>`. Its `params` model
validates its table of the settings and gives the console its form: every field has a
description, and a unit in `json_schema_extra={"unit": ...}` where it counts something.
All kinds but `sched` and `config` run in a worker process of their own, with a deadline on every
call: they may block, crash or hang. The module of a plug-in is imported everywhere, so it imports
its outside library inside the functions that call it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from core.model.answers import BatchAnswer, EndedAnswer, WmsAnswer, WmsQuery
from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.frozen import Frozen
from core.model.submission import Found, PilotJob, Submitted


class Params(Frozen):
    """Base of a plug-in's parameters: unknown keys are errors."""


class NoParams(Params):
    """For a plug-in that has no parameters."""


P = TypeVar("P", bound=Params)
B = TypeVar("B", bound=Params)


class Role(StrEnum):
    """What a step does to the number."""

    SOURCE = "source"
    """Makes a number from facts."""
    SHAPE = "shape"
    """Changes the number."""
    FLOOR = "floor"
    """Raises it."""
    CAP = "cap"
    """Bounds it, and is applied once more after the chain, where it only lowers."""


class Sched(ABC, Generic[P]):
    """A step of the chain: pure arithmetic on facts."""

    params: ClassVar[type[Params]] = NoParams
    role: ClassVar[Role]
    needs: ClassVar[frozenset[Fact]] = frozenset({Fact.BATCH})

    @abstractmethod
    def step(self, n: int, facts: Facts, params: P) -> Step:
        """Return the new number and why. Facts named in `needs` are known when this is called."""

    def apf_step(self, n: int, facts: Facts, params: P) -> Step:
        """Return what AutoPyFactory made of it: for queues with `apf_compat`, where that differs.

        Unknown stays unknown: this is called with the same facts known.
        """
        return self.step(n, facts, params)


class Wms(ABC, Generic[P]):
    """Counts payload jobs."""

    params: ClassVar[type[Params]] = NoParams
    lag: ClassVar[float] = 0.0
    """How much older than its answer the counts are, in seconds; `[wms.X] lag` says otherwise."""

    def __init__(self, params: P) -> None:
        self.settings = params

    @abstractmethod
    def poll(self, wanted: Sequence[WmsQuery]) -> WmsAnswer:
        """Count all of `wanted` at once; changes nothing. Raise SourceError if nothing is known."""

    def upkeep(self) -> list[str]:
        """Set right what only this side can (payloads of dead pilots); return what was done."""
        return []


class Batch(ABC, Generic[B]):
    """Counts pilots."""

    params: ClassVar[type[Params]] = NoParams
    tended: ClassVar[bool] = False
    """True if waiting pilots only ever start while a factory runs `upkeep`."""

    def __init__(self, params: B) -> None:
        self.settings = params

    @abstractmethod
    def poll(self, factory: str, instance: str) -> BatchAnswer:
        """Count all pilots of `factory`; changes nothing. Raise SourceError if nothing is known."""

    def upkeep(self) -> list[str]:
        """Do what this batch system leaves to us (start waiting pilots); return what was done."""
        return []

    def ended(self, factory: str, instance: str, since: float) -> EndedAnswer:
        """Return pilots that ended after Unix time `since`; changes nothing.

        Called on an object of its own, in a process of its own: it never delays a count. What an
        earlier call of the same object has returned may be left out. Raise SourceError if nothing
        is known. A plug-in that leaves this out does not tell: done and failed stay unknown.
        """
        raise NotImplementedError


class Submit(ABC, Generic[B, P]):
    """Hands pilots to a batch system, and finds them again.

    One process per batch system runs `describe`, `submit` and the looks, one call at a time.
    `batch` is the table `[batch.X]`, validated by that batch plug-in's `params`.
    """

    params: ClassVar[type[Params]] = NoParams
    """Of the queue's own table `submit`."""
    batch_params: ClassVar[type[Params]] = Params
    """What a batch plug-in's `params` must be, so that this one can submit to it."""

    def __init__(self, batch: B) -> None:
        self.batch = batch

    @abstractmethod
    def describe(self, job: PilotJob, params: P) -> str:
        """Word the submission, exactly as the batch system gets it. Raise SubmitRefused."""

    @abstractmethod
    def submit(self, schedd: str, description: str, n: int) -> Submitted:
        """Hand over n pilots, all or none. Raise SubmitRefused only if nothing was sent.

        Any other exception, a killed process or a lost answer means "outcome unknown".
        """

    @abstractmethod
    def look(self, schedd: str, submission: str, since: float) -> tuple[Found, ...]:
        """Find what this submission became: the queue first, then the history since Unix time.

        Called only when no process that could still commit it is alive. An empty tuple says
        "certainly not there"; anything that is not an answer raises.
        """

    @abstractmethod
    def sweep(self, schedd: str, factory: str, instance: str) -> tuple[Found, ...]:
        """List every submission of this factory instance that the batch system still knows."""

    @abstractmethod
    def remove(self, schedd: str, found: Found) -> None:
        """Remove the pilots of one cluster."""


class QueueTable(Frozen):
    """Queues as a config plug-in found them: raw tables, and where each came from."""

    queues: Mapping[str, Mapping[str, Any]]
    origin: Mapping[str, str]
    """Queue name → file or address, for messages."""


class Config(ABC, Generic[P]):
    """Tells of queues."""

    params: ClassVar[type[Params]] = NoParams

    def __init__(self, params: P, base: Path) -> None:
        """`base` is the folder of the settings file: relative paths start there."""
        self.settings = params
        self.base = base

    @abstractmethod
    def load(self) -> QueueTable:
        """Read the tables. Raise SettingsError naming file, place and cure."""
