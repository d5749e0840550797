"""What sources are asked and what they answer. Answers cross a process border as JSON."""

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, NonNegativeInt

from core.model.frozen import Frozen
from core.model.text import clean

Told = Annotated[str, AfterValidator(clean)]
"""Text from outside, harmless even if the plug-in did not see to it."""


class WmsQuery(Frozen):
    """Which payload jobs are meant. Equal queries are asked once for all their queues."""

    queue: str
    resource_type: str | None = None
    labels: tuple[str, ...] = ()


class WmsCount(Frozen):
    """The WMS's word on one query; None is unknown and `problem` says why."""

    query: WmsQuery
    activated: NonNegativeInt | None = None
    running: NonNegativeInt | None = None
    status: Told | None = None
    problem: Told | None = None
    other: dict[Told, NonNegativeInt] = {}
    """Jobs in any other state, by its name: shown, in no formula."""
    note: Told | None = None
    """What somebody who compares the numbers with the WMS's own pages must know."""


class WmsAnswer(Frozen):
    """One count for every query that was asked, in any order."""

    counts: tuple[WmsCount, ...]


class BatchCount(Frozen):
    """Pilots of one queue as the batch system counts them."""

    queue: str
    pending: NonNegativeInt = 0
    running: NonNegativeInt = 0
    held: NonNegativeInt = 0
    leaving: NonNegativeInt = 0
    """Ended but still listed: shown, in no formula."""
    hold_reason: Told = ""
    """Why one of the held is held, as the batch system words it; cleaned."""


class BatchAnswer(Frozen):
    """All pilots under the factory's name. A queue that is not listed has none: that *is* 0."""

    schedd: Told
    """The batch system's own name, under which intents are filed."""
    counts: tuple[BatchCount, ...]
    foreign: tuple[Told, ...] = ()
    """Instances that submit under this factory's name from another state folder."""


class Ended(NamedTuple):
    """A pilot that ended, whatever the reason."""

    id: str
    """The batch system's own, never used twice. A pilot may be told more than once: the last word
    counts."""
    queue: str
    at: float
    """When it ended, Unix time."""
    done: bool
    """It ended by itself, with exit code 0. All others failed: another exit code, a signal,
    removed, lost."""


class EndedAnswer(NamedTuple):
    """Pilots that ended, in any order."""

    pilots: Iterable[Ended]
    note: str = ""
    """Why there may be more than these, in plain words; empty if these are all."""


class OutcomeCount(Frozen):
    """How the pilots of one queue ended in the last hour."""

    queue: str
    done: NonNegativeInt = 0
    failed: NonNegativeInt = 0


class OutcomeAnswer(Frozen):
    """What became of the factory's pilots. A queue that is not listed had none end: 0 and 0."""

    counts: tuple[OutcomeCount, ...]
    note: Told = ""
    """Why there may be more, as the batch system's plug-in words it."""
