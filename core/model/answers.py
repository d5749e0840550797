"""What sources are asked and what they answer. Answers cross a process border as JSON."""

from pydantic import NonNegativeInt

from core.model.frozen import Frozen


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
    status: str | None = None
    problem: str | None = None


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


class BatchAnswer(Frozen):
    """All pilots under the factory's name. A queue that is not listed has none: that *is* 0."""

    schedd: str
    """The batch system's own name, under which intents are filed."""
    counts: tuple[BatchCount, ...]
    foreign: tuple[str, ...] = ()
    """Instances that submit under this factory's name from another state folder."""
