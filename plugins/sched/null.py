"""null: nothing, ever."""

from core.model.decision import Step
from core.model.facts import Facts
from core.model.plugin import NoParams, Role, Sched


class Null(Sched[NoParams]):
    """0, ignoring the number that came in."""

    role = Role.SOURCE

    def step(self, n: int, facts: Facts, params: NoParams) -> Step:
        return Step(out=0, reason="this chain submits nothing")
