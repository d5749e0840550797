"""Pilots on their way: what is sent to a batch system, and what it knows afterwards."""

from enum import StrEnum

from pydantic import NonNegativeInt, PositiveInt

from core.model.frozen import Frozen


class IntentState(StrEnum):
    """Life of an intent. Only `intent` may still be answered by a late commit."""

    INTENT = "intent"
    """Written, perhaps sent; outcome unknown. Counts in full, and blocks queue and schedd."""
    CONFIRMED = "confirmed"
    """The batch system has all n pilots."""
    ABSENT = "absent"
    """The batch system was looked through when nothing could still commit: it has none."""
    CONFLICT = "conflict"
    """The batch system has another number than was asked for, or has it twice: alarm."""


class Intent(Frozen):
    """ "n pilots of this queue to this schedd under this id", written before anything is sent."""

    submission: str
    """A uuid, never used twice."""
    queue: str
    batch: str
    """The settings' name of the batch system."""
    submit_plugin: str
    schedd: str
    n: PositiveInt
    epoch: NonNegativeInt
    """Which incarnation of the factory wrote it."""
    cycle: int | None
    """The pass that wanted it; None if it was found on the schedd and adopted."""
    wrapper: str
    description: str
    """Exactly what is handed to the batch system."""
    state: IntentState
    at: float
    """Unix time."""
    boottime: float
    """Seconds of CLOCK_BOOTTIME: unlike `at` it never goes back while the host is up."""
    boot_id: str
    cluster: str | None = None
    detail: str = ""
    """What happened, in plain words."""
    resolved_at: float | None = None
    resolved_boottime: float | None = None


class PilotJob(Frozen):
    """One submission as the factory wants it, before a submit plug-in words it."""

    factory: str
    instance: str
    queue: str
    submission: str
    n: PositiveInt
    wrapper: str
    """Content hash of the rendered wrapper."""
    executable: str
    """Absolute path of the rendered wrapper."""
    log_dir: str
    """Absolute path of an existing folder for stdout, stderr and the batch system's log."""
    environment: dict[str, str] = {}
    attributes: dict[str, str | int | float | bool] = {}
    """Extra job attributes, as the operator wrote them."""


class Submitted(Frozen):
    """A batch system's receipt."""

    cluster: str
    n: NonNegativeInt


class Found(Frozen):
    """A submission that a batch system knows."""

    submission: str
    queue: str
    cluster: str
    n: NonNegativeInt
    wrapper: str = ""
    at: float = 0.0
    """When it came in, Unix time."""
