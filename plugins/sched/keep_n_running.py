"""keep-n-running: as many as are missing from so many pilots."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import Params, Role, Sched


class KeepNRunningParams(Params):
    keep_running: NonNegativeInt | None = Field(
        default=None,
        description="Pilots to keep, waiting or running; not set: as many as the step before says.",
        json_schema_extra={"unit": "pilots"},
    )


class KeepNRunning(Sched[KeepNRunningParams]):
    """keep_running - (P + U), or n - (P + U): what came in was a target, and goes out a change."""

    params = KeepNRunningParams
    role = Role.SHAPE

    def step(self, n: int, facts: Facts, params: KeepNRunningParams) -> Step:
        target = n if params.keep_running is None else params.keep_running
        there = facts.batch.p + facts.batch.u
        return Step(out=target - there, reason=f"keep {target} pilots, there are {there}")
