"""activated: AutoPyFactory's Activated whole, in one step: demand, its bounds, and test mode."""

from pydantic import Field, NonNegativeInt, PositiveInt

from core.decision.demand import unanswered
from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched


class TestMode(Params):
    allowed: bool = Field(
        default=False,
        description="Treat a queue that the WMS tests apart; false: like any other.",
    )
    pilots: NonNegativeInt = Field(
        default=0,
        description="Pilots to submit each pass while the WMS says test.",
        json_schema_extra={"unit": "pilots"},
    )
    max_pending: NonNegativeInt = Field(
        default=10,
        description="None while more than so many are pending or held.",
        json_schema_extra={"unit": "pilots"},
    )


class ActivatedParams(Params):
    default: NonNegativeInt = Field(
        default=0,
        description="Pilots to submit each pass while the WMS says another status than online, "
        "test, offline, brokeroff; the maxima hold.",
        json_schema_extra={"unit": "pilots"},
    )
    max_jobs_torun: PositiveInt | None = Field(
        default=None,
        description="First bound: most pilots pending, held and running together.",
        json_schema_extra={"unit": "pilots"},
    )
    min_pilots_pending: NonNegativeInt | None = Field(
        default=None,
        description="Second bound: fewest pilots kept pending.",
        json_schema_extra={"unit": "pilots"},
    )
    max_pilots_per_cycle: PositiveInt | None = Field(
        default=None,
        description="Third bound: most pilots submitted in one pass.",
        json_schema_extra={"unit": "pilots"},
    )
    min_pilots_per_cycle: NonNegativeInt | None = Field(
        default=None,
        description="Fourth bound: fewest pilots submitted in one pass.",
        json_schema_extra={"unit": "pilots"},
    )
    max_pilots_pending: PositiveInt | None = Field(
        default=None,
        description="Last bound: most pilots pending or held at a time.",
        json_schema_extra={"unit": "pilots"},
    )
    testmode: TestMode = TestMode()


class Activated(Sched[ActivatedParams]):
    """max(0, R - P) within its bounds, applied in order: of two that clash the later one wins.

    P is that of `ready`: demand is spent once. Status test: testmode.pilots, or 0 if P is above
    testmode.max_pending. Status offline or brokeroff: 0. Any other that is not online: default.
    """

    params = ActivatedParams
    role = Role.SOURCE
    needs = frozenset({Fact.WMS, Fact.WMS_STATUS, Fact.BATCH})

    def step(self, n: int, facts: Facts, params: ActivatedParams) -> Step:
        status = facts.wms.status
        if status in ("offline", "brokeroff"):
            return Step(out=0, reason=f"the WMS says {status}")
        if status not in ("online", "test"):
            start = Step(out=params.default, reason=f"the WMS says {status}: {params.default}")
            return _bounded(start, facts, params, floors=False)
        return self.apf_step(n, facts, params)

    def apf_step(self, n: int, facts: Facts, params: ActivatedParams) -> Step:
        """AutoPyFactory takes every status but test and offline for online."""
        if facts.wms.status == "offline":
            return Step(out=0, reason="the WMS says offline")
        if facts.wms.status == "test" and params.testmode.allowed:
            return _tested(facts, params.testmode)
        return _bounded(unanswered(facts), facts, params)


def _tested(facts: Facts, mode: TestMode) -> Step:
    p = facts.batch.p
    there = f"the WMS says test, {p} pending{facts.batch.among_p}"
    if p > mode.max_pending:
        return Step(out=0, reason=f"{there}: more than {mode.max_pending}")
    return Step(out=mode.pilots, reason=f"{there}: {mode.pilots} a pass")


def _bounded(start: Step, facts: Facts, params: ActivatedParams, floors: bool = True) -> Step:
    p, u = facts.batch.p, facts.batch.u
    out, words = start.out, [start.reason]
    for limit, taken, lowers, told in (
        (params.max_jobs_torun, p + u, True, "at most {} pilots, there are {}"),
        (params.min_pilots_pending, p, False, "at least {} pending, {} are"),
        (params.max_pilots_per_cycle, 0, True, "at most {} a pass"),
        (params.min_pilots_per_cycle, 0, False, "at least {} a pass"),
        (params.max_pilots_pending, p, True, "at most {} pending, {} are"),
    ):
        if limit is None or not (lowers or floors):
            continue
        bound = min(out, limit - taken) if lowers else max(out, limit - taken)
        if bound != out:
            out = bound
            words.append(told.format(limit, taken))
    return Step(out=out, reason="; ".join(words))
