"""status-offline: while the WMS has a queue offline, so many pilots instead.

The WMS may hand out payloads all the same: without this step an offline queue gets its pilots.
"""

from pydantic import Field, NonNegativeInt

from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched


class StatusOfflineParams(Params):
    pilots: NonNegativeInt = Field(
        default=0,
        description="Pilots to submit each pass while the WMS says offline or brokeroff.",
        json_schema_extra={"unit": "pilots"},
    )


class StatusOffline(Sched[StatusOfflineParams]):
    """pilots in the place of the number if the status is offline or brokeroff.

    No floor behind it lifts that.
    """

    params = StatusOfflineParams
    role = Role.CAP
    needs = frozenset({Fact.WMS_STATUS, Fact.BATCH})

    def step(self, n: int, facts: Facts, params: StatusOfflineParams) -> Step:
        return _step(n, facts, params, ("offline", "brokeroff"))

    def apf_step(self, n: int, facts: Facts, params: StatusOfflineParams) -> Step:
        """AutoPyFactory takes brokeroff for online."""
        return _step(n, facts, params, ("offline",))


def _step(n: int, facts: Facts, params: StatusOfflineParams, stopped: tuple[str, ...]) -> Step:
    status = facts.wms.status
    if status not in stopped:
        return Step(out=n, reason=f"the WMS says {status}, not {' or '.join(stopped)}")
    return Step(out=params.pilots, reason=f"the WMS says {status}: {params.pilots} a pass")
