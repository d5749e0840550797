"""What the control API takes and gives. All times are Unix seconds, all ages seconds."""

from typing import Any, Literal

from pydantic import Field

from core.model.decision import Decision
from core.model.frozen import Frozen
from core.model.submission import Intent
from core.settings.schema import EffectiveValue, Orphan

PROTOCOL = 1

QueueState = Literal["ok", "blind", "paused", "draining", "drained", "offline", "error"]
SourceState = Literal["fresh", "stale", "failed", "waiting"]


class Hello(Frozen):
    """Who answers. A console that does not know `protocol` stays read-only."""

    protocol: int = PROTOCOL
    version: str
    boot: str
    """Of this factory process: another boot, another count of snapshot versions."""
    config: str
    started_by: str
    name: str
    pid: int


class WmsView(Frozen):
    """The WMS's numbers of one queue; None is unknown."""

    activated: int | None = None
    running: int | None = None
    status: str | None = None
    age_s: float | None = None
    problem: str | None = None


class BatchView(Frozen):
    """The batch system's numbers of one queue; None is unknown."""

    pending: int | None = None
    running: int | None = None
    held: int | None = None
    leaving: int | None = None
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
    revision: str = ""
    version: int = 0
    """Snapshot version of the last change."""


class SourceStatus(Frozen):
    """One WMS or batch system as its worker sees it."""

    kind: Literal["wms", "batch"]
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


class Status(Frozen):
    """`apftui status --json`."""

    factory: FactoryStatus
    queues: tuple[QueueStatus, ...]


class Snapshot(Frozen):
    """Queues changed since version `after`, oldest change first, at most `limit` of them.

    Ask again with `after=version`; `more` says that the rest is there already. `full`: forget
    all queues you have before you take these.
    """

    boot: str
    version: int
    full: bool
    more: bool = False
    factory: FactoryStatus
    queues: tuple[QueueStatus, ...]
    gone: tuple[str, ...] = ()


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


class QueueDetail(Frozen):
    """Everything about one queue."""

    status: QueueStatus
    settings: tuple[EffectiveValue, ...]
    decisions: tuple[PastDecision, ...]
    """Newest first."""
    intents: tuple[Intent, ...]
    """Newest first."""
    actions: tuple[Action, ...]
    """Newest first."""


class Change(Frozen):
    """One value of one queue. `value` None takes the override away."""

    queue: str
    key: str
    value: Any = None
    revision: str | None = None
    """The queue's revision that the change was made at; None skips the check."""


class ChangeRequest(Frozen):
    """Changes that are applied together or not at all."""

    changes: tuple[Change, ...] = Field(min_length=1)
    why: str = Field(default="", max_length=500)
    until: float | None = None


class UndoRequest(Frozen):
    """Put back what stood before an action."""

    action: str
    why: str = Field(default="", max_length=500)


class ResolveRequest(Frozen):
    """An operator's word on an intent whose schedd never answers again."""

    submission: str
    state: Literal["absent", "confirmed"]
    why: str = Field(min_length=1, max_length=500)


class StopRequest(Frozen):
    """Stop the factory. Pilots are left alone unless `remove_pilots`."""

    remove_pilots: bool = False


class ReloadResult(Frozen):
    """What a reload changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class Problem(Frozen):
    """An error of the API: what happened and the cure, as text for a person."""

    error: str
    diff: tuple[str, ...] = ()
    """For a change that was made at an old revision: what differs now."""
