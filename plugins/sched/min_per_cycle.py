"""min-per-cycle: at least so many pilots a pass."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class MinPerCycleParams(Params):
    minimum: NonNegativeInt = Field(
        description="Fewest pilots submitted in one pass.",
        json_schema_extra={"unit": "pilots"},
    )


class MinPerCycle(Sched[MinPerCycleParams]):
    """max(n, minimum)."""

    params = MinPerCycleParams
    role = Role.FLOOR

    def step(self, n: int, facts: Facts, params: MinPerCycleParams) -> Step:
        return Step(out=max(n, params.minimum), reason=f"at least {params.minimum} a pass")
