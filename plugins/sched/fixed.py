"""fixed: the same number every pass, whatever the work."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class FixedParams(Params):
    pilots_per_cycle: NonNegativeInt = Field(
        description="Pilots to submit each pass.", json_schema_extra={"unit": "pilots"}
    )


class Fixed(Sched[FixedParams]):
    """pilots_per_cycle, ignoring the number that came in."""

    params = FixedParams
    role = Role.SOURCE

    def step(self, n: int, facts: Facts, params: FixedParams) -> Step:
        return Step(out=params.pilots_per_cycle, reason=f"{params.pilots_per_cycle} every pass")
