"""max-per-cycle: at most so many pilots a pass."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class MaxPerCycleParams(Params):
    maximum: NonNegativeInt = Field(
        description="Most pilots submitted in one pass.",
        json_schema_extra={"unit": "pilots"},
    )


class MaxPerCycle(Sched[MaxPerCycleParams]):
    """min(n, maximum)."""

    params = MaxPerCycleParams
    role = Role.CAP

    def step(self, n: int, facts: Facts, params: MaxPerCycleParams) -> Step:
        return Step(out=min(n, params.maximum), reason=f"at most {params.maximum} a pass")
