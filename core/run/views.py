"""What the factory shows of itself. All times are Unix seconds, all ages seconds."""

from typing import Any, Literal

from pydantic import NonNegativeInt

from core.model.decision import Decision
from core.model.frozen import Frozen
from core.settings.schema import Orphan

QueueState = Literal["ok", "blind", "paused", "draining", "drained", "offline", "error"]
SourceState = Literal["fresh", "stale", "failed", "waiting"]


class WmsView(Frozen):
    """The WMS's numbers of one queue; None is unknown."""

    activated: int | None = None
    running: int | None = None
    status: str | None = None
    other: dict[str, int] = {}
    """Jobs in any other state, by its name: in no formula."""
    age_s: float | None = None
    problem: str | None = None
    note: str | None = None
    """Why the numbers are not those of the WMS's own pages."""


class BatchView(Frozen):
    """The batch system's numbers of one queue; None is unknown."""

    pending: int | None = None
    running: int | None = None
    held: int | None = None
    leaving: int | None = None
    hold_reason: str = ""
    """Of one of the held."""
    in_flight: int = 0
    """Submitted, or perhaps submitted, and not in these counts yet."""
    age_s: float | None = None
    problem: str | None = None


class QueueStatus(Frozen):
    """One line of the console. Flat `running` are pilots."""

    name: str
    state: QueueState
    reason: str = ""
    """Why it is in this state, in plain words; empty if ok."""
    activated: int | None = None
    pending: int | None = None
    running: int | None = None
    held: int | None = None
    done: int | None = None
    """Pilots that ended by themselves with exit code 0 in the last hour."""
    failed: int | None = None
    """Pilots that ended in any other way in the last hour."""
    wms: WmsView
    batch: BatchView
    decision: Decision | None = None
    decided_age_s: float | None = None
    cycle: int | None = None
    """The pass of the decision."""
    submitted: int = 0
    """Pilots that this decision really brought to the batch system."""
    wms_name: str | None = None
    batch_name: str = ""
    schedd: str = ""
    wrapper: str = ""
    wrapper_version: str = ""
    """Number of a published version, `folder` (the operator's own) or `shipped`."""
    wrapper_sha: str = ""
    """Of the script that new pilots get; their `APFWrapper`."""
    revision: str = ""
    version: int = 0
    """Snapshot version of the last change."""


class SourceStatus(Frozen):
    """One WMS or batch system as its worker sees it.

    `outcomes` is what became of a batch system's pilots: no queue is blind without it.
    """

    kind: Literal["wms", "batch", "outcomes"]
    name: str
    plugin: str
    state: SourceState
    age_s: float | None = None
    took_s: float | None = None
    problem: str | None = None


class FactoryStatus(Frozen):
    """The factory itself."""

    name: str
    version: str
    boot: str
    pid: int
    started_by: str
    config: str
    state_folder: str
    cycle_s: float
    cycle: int
    """Number of the last pass; it goes on counting over restarts."""
    next_pass_s: float | None = None
    last_pass_age_s: float | None = None
    alarms: tuple[str, ...] = ()
    """What an operator must know: ledger not writable, bad reload, foreign pilots, conflicts."""
    sources: tuple[SourceStatus, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    unresolved: int = 0
    """Intents whose outcome is unknown."""
    stopping: bool = False


class PastDecision(Frozen):
    """A decision as history kept it; equal ones in a row are one entry."""

    cycle: int
    last_cycle: int
    at: float
    last_at: float
    wms: WmsView
    batch: BatchView
    decision: Decision
    submitted: int = 0
    submissions: tuple[str, ...] = ()


class Action(Frozen):
    """Something an operator (or an expiry) did, as the ledger has it."""

    id: str
    at: float
    by: str
    what: str
    why: str
    until: float | None = None
    state: Literal["asked", "applied", "failed"]
    undoes: str | None = None
    detail: str = ""
    queues: tuple[str, ...] = ()
    """Queues of which it changed something that can be put back."""


class ValueChange(Frozen):
    """One setting of a queue before and after a change; no layer: it is not there."""

    key: str
    before: Any = None
    after: Any = None
    before_layer: str | None = None
    after_layer: str | None = None


class Effect(Frozen):
    """What the next pass would decide for a queue: without a change, and with it."""

    queue: str
    due: bool
    """False: only once its batch system has counted again."""
    before: Decision
    after: Decision
    values: tuple[ValueChange, ...] = ()


class Preview(Frozen):
    """What a change would do, on what is known now. Both parts in order of names."""

    queues: tuple[Effect, ...]
    """Those whose settings would change."""
    others: tuple[Effect, ...] = ()
    """Those that would be decided otherwise all the same, through the totals."""
    before: NonNegativeInt = 0
    """Pilots that all of them would submit without the change."""
    after: NonNegativeInt = 0
    left_out: NonNegativeInt = 0
    """Effects that were not asked for; the sums have them."""
