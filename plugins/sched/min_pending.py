"""min-pending: at least so many pilots waiting."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class MinPendingParams(Params):
    minimum: NonNegativeInt = Field(
        description="Fewest pilots kept pending.",
        json_schema_extra={"unit": "pilots"},
    )


class MinPending(Sched[MinPendingParams]):
    """max(n, minimum - P)."""

    params = MinPendingParams
    role = Role.FLOOR

    def step(self, n: int, facts: Facts, params: MinPendingParams) -> Step:
        short = params.minimum - facts.batch.p
        there = f"{facts.batch.p} are{facts.batch.among_p}"
        reason = f"at least {params.minimum} pending, {there}: {max(0, short)} short"
        return Step(out=max(n, short), reason=reason)
