"""status-test: while the WMS tests a queue, so many pilots instead."""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched


class StatusTestParams(Params):
    pilots: NonNegativeInt = Field(
        default=0,
        description="Pilots to submit each pass while the WMS says test.",
        json_schema_extra={"unit": "pilots"},
    )


class StatusTest(Sched[StatusTestParams]):
    """pilots in the place of the number if the status is test. No floor behind it lifts that."""

    params = StatusTestParams
    role = Role.CAP
    needs = frozenset({Fact.WMS_STATUS, Fact.BATCH})

    def step(self, n: int, facts: Facts, params: StatusTestParams) -> Step:
        status = facts.wms.status
        if status != "test":
            return Step(out=n, reason=f"the WMS says {status}, not test")
        return Step(out=params.pilots, reason=f"the WMS says test: {params.pilots} a pass")
