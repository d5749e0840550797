"""What the chain said, step by step. The form of a decision everywhere."""

from typing import Annotated

from pydantic import ConfigDict, Field, NonNegativeInt, StrictInt

from core.model.frozen import Frozen


class Step(Frozen):
    """What one sched plug-in makes of the number: `out`, and why in plain words."""

    out: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
    reason: str


class TraceStep(Frozen):
    """One step of a decision: number in, number out, why."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    plugin: str
    in_: Annotated[int, Field(alias="in")]
    out: int
    reason: str


class Decision(Frozen):
    """How many pilots to submit, and every step that led there. Dump it with `by_alias=True`."""

    queue: str
    submit: NonNegativeInt = 0
    remove: NonNegativeInt = 0
    blind: bool = False
    blind_because: str | None = None
    bound_by: str | None = None
    """The last step that lowered the number; None if none did."""
    steps: tuple[TraceStep, ...] = ()
