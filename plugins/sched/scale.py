"""scale: a share of the number, for work that several queues or factories are sent pilots for."""

import math
from fractions import Fraction

from pydantic import Field

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class ScaleParams(Params):
    factor: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="What the number is multiplied by."
    )


class Scale(Sched[ScaleParams]):
    """ceil(n * factor): never 0 for a positive number and factor."""

    params = ScaleParams
    role = Role.SHAPE

    def step(self, n: int, facts: Facts, params: ScaleParams) -> Step:
        # The decimal that the operator wrote: in binary, 100 * 0.07 is a little over 7.
        exact = n * Fraction(str(params.factor))
        return Step(out=math.ceil(exact), reason=f"{n} x {params.factor:g}, rounded up")
