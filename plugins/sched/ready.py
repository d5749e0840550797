"""ready: as many pilots as there is work that no pilot has been sent for."""

from pydantic import Field, NonNegativeInt

from core.decision.demand import unanswered
from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched


class ReadyParams(Params):
    offset: NonNegativeInt = Field(
        default=0,
        description="Activated payloads that are left for others.",
        json_schema_extra={"unit": "payloads"},
    )


class Ready(Sched[ReadyParams]):
    """max(0, (R - offset) - P), where P also covers what was sent since R was measured."""

    params = ReadyParams
    role = Role.SOURCE
    needs = frozenset({Fact.WMS, Fact.BATCH})

    def step(self, n: int, facts: Facts, params: ReadyParams) -> Step:
        return unanswered(facts, params.offset)
