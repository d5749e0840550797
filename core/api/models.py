"""What the control API takes and gives. All times are Unix seconds, all ages seconds."""

from typing import Any, Literal

from pydantic import Field, FiniteFloat

from core.model.decision import Decision
from core.model.frozen import Frozen
from core.model.submission import Intent
from core.run.views import (
    Action,
    BatchView,
    Effect,
    FactoryStatus,
    PastDecision,
    Preview,
    QueueState,
    QueueStatus,
    SourceState,
    SourceStatus,
    ValueChange,
    WmsView,
)
from core.settings.overrides import Override
from core.settings.parameters import Parameter, Parameters, QueueParameters
from core.settings.schema import EffectiveValue, Orphan

__all__ = [
    "Action",
    "BatchView",
    "Change",
    "ChangeRequest",
    "Decision",
    "Effect",
    "EffectiveValue",
    "FactoryStatus",
    "Hello",
    "Intent",
    "Orphan",
    "Override",
    "Parameter",
    "Parameters",
    "ParametersRequest",
    "PastDecision",
    "Preview",
    "Problem",
    "QueueDetail",
    "QueueParameters",
    "QueueState",
    "QueueStatus",
    "ReloadResult",
    "ResolveRequest",
    "Snapshot",
    "SourceState",
    "SourceStatus",
    "Status",
    "StopRequest",
    "UndoRequest",
    "ValueChange",
    "WmsView",
]

PROTOCOL = 1


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
    you: str = ""
    """Who asks, as the ledger will name them."""


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


class ParametersRequest(Frozen):
    """Of which queues the parameters are asked for; with `keys`, only these."""

    queues: tuple[str, ...] = Field(min_length=1)
    keys: tuple[str, ...] = ()


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
    until: FiniteFloat | None = None


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
