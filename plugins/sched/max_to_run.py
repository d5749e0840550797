"""max-to-run: at most so many pilots in all, waiting or running."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class MaxToRunParams(Params):
    maximum: NonNegativeInt = Field(
        description="Most pilots pending, held and running together.",
        json_schema_extra={"unit": "pilots"},
    )


class MaxToRun(Sched[MaxToRunParams]):
    """min(n, maximum - (P + U))."""

    params = MaxToRunParams
    role = Role.CAP

    def step(self, n: int, facts: Facts, params: MaxToRunParams) -> Step:
        pilots = facts.batch.p + facts.batch.u
        room = params.maximum - pilots
        reason = f"at most {params.maximum} pilots, there are {pilots}: room for {max(0, room)}"
        return Step(out=min(n, room), reason=reason)
