"""nqueue: while there is work, keep a depth of waiting pilots, in bursts of that depth."""

from pydantic import Field, NonNegativeInt, PositiveInt

from core.model.decision import Step
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched


class NQueueParams(Params):
    nqueue: NonNegativeInt = Field(
        description="Pilots kept waiting while there is work, and the size of a burst.",
        json_schema_extra={"unit": "pilots"},
    )
    depth_boost: PositiveInt = Field(
        default=2,
        description="So many times nqueue may wait while more payloads do.",
    )
    pilot_limit: PositiveInt | None = Field(
        default=None,
        description="Most pilots pending, held and running together; not set: no limit.",
        json_schema_extra={"unit": "pilots"},
    )
    max_pilots_per_cycle: PositiveInt | None = Field(
        default=None,
        description="Most pilots submitted in one pass; not set: no limit.",
        json_schema_extra={"unit": "pilots"},
    )


class NQueue(Sched[NQueueParams]):
    """nqueue if R > 0 and (P < nqueue or (R > P and P < nqueue * depth_boost)), else 0.

    R is less what was sent since it was measured and has started; once something has, a burst is
    at most R - P. So a WMS that stands still is not sent one burst after another.
    """

    params = NQueueParams
    role = Role.SOURCE
    needs = frozenset({Fact.WMS, Fact.BATCH})

    def step(self, n: int, facts: Facts, params: NQueueParams) -> Step:
        batch = facts.batch
        p, started = batch.p, batch.sent_since
        left = (facts.wms.activated or 0) - started
        words = [f"{facts.wms.activated} activated"]
        if started:
            words[0] += f" - {started} sent since that was measured"
        words.append(f"{p} pending{batch.among_p}")
        out = 0
        if left <= 0:
            words.append("no work is left")
        elif p < params.nqueue or (left > p and p < params.nqueue * params.depth_boost):
            out = params.nqueue if not started else max(0, min(params.nqueue, left - p))
            words.append(f"a burst of {out}")
        elif left <= p:
            words.append(f"enough for nqueue {params.nqueue}")
        else:
            words.append(f"enough for nqueue {params.nqueue} x {params.depth_boost}")
        if params.max_pilots_per_cycle is not None and out > params.max_pilots_per_cycle:
            out = params.max_pilots_per_cycle
            words.append(f"at most {out} a pass")
        if params.pilot_limit is not None and out > (room := params.pilot_limit - (p + batch.u)):
            out = max(0, room)
            words.append(f"at most {params.pilot_limit} pilots, there are {p + batch.u}")
        return Step(out=out, reason=", ".join(words))
