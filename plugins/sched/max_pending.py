"""max-pending: at most so many pilots waiting."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class MaxPendingParams(Params):
    maximum: NonNegativeInt = Field(
        description="Most pilots pending or held at a time.",
        json_schema_extra={"unit": "pilots"},
    )


class MaxPending(Sched[MaxPendingParams]):
    """min(n, maximum - P), also when nothing is pending."""

    params = MaxPendingParams
    role = Role.CAP

    def step(self, n: int, facts: Facts, params: MaxPendingParams) -> Step:
        room = params.maximum - facts.batch.p
        there = f"{facts.batch.p} are{facts.batch.among_p}"
        reason = f"at most {params.maximum} pending, {there}: room for {max(0, room)}"
        return Step(out=min(n, room), reason=reason)

    def apf_step(self, n: int, facts: Facts, params: MaxPendingParams) -> Step:
        """AutoPyFactory sets no limit while nothing is pending."""
        if facts.batch.p == 0:
            return Step(out=n, reason="nothing is pending: no limit (apf_compat)")
        return self.step(n, facts, params)
