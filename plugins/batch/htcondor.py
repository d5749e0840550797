"""htcondor: pilots as a schedd counts them."""

from collections import Counter, defaultdict

from core.model.answers import BatchAnswer, BatchCount, EndedAnswer
from core.model.errors import SourceError
from core.model.plugin import Batch
from plugins.condor import query
from plugins.condor.connection import Pool
from plugins.condor.ended import EndedJobs
from plugins.condor.params import HtcondorParams
from plugins.condor.query import Ad, count_by, number, text

_EXAMPLES = 200
"""Held jobs that are asked for their reason: enough to tell, and no more than a few pages."""

_KIND = {
    1: "pending",
    2: "running",
    3: "leaving",
    4: "leaving",
    5: "held",
    6: "running",
    7: "running",
}


class HtcondorBatch(Batch[HtcondorParams]):
    """All pilots of the factory on one schedd, in one query that the schedd answers by counting.

    Jobs under our factory's name that bear another instance, or none, or no queue are told as
    foreign: somebody else's, or ours with an attribute lost on the way. Either way the counts
    would lie.
    """

    params = HtcondorParams

    def __init__(self, params: HtcondorParams) -> None:
        super().__init__(params)
        self._pool = Pool(params)
        self._ended = EndedJobs(self._pool)

    def poll(self, factory: str, instance: str) -> BatchAnswer:
        schedd, groups = count_by(
            self._pool,
            None,
            projection=["APFFactory", "APFInstance", "APFQueue", "JobStatus"],
            where={"APFFactory": factory},
        )
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        foreign = set()
        for group in groups:
            theirs, queue = text(group, "APFInstance"), text(group, "APFQueue")
            if theirs != instance:
                foreign.add(theirs or "jobs without APFInstance")
            elif queue is None:
                foreign.add(f"{instance} (jobs without APFQueue)")
            else:
                counts[queue][_kind(schedd, group)] += number(group, "JobCount")
        reasons = (
            self._hold_reasons(schedd, factory) if any(c["held"] for c in counts.values()) else {}
        )
        return BatchAnswer(
            schedd=schedd,
            counts=tuple(
                BatchCount(queue=q, hold_reason=reasons.get(q, ""), **counts[q])
                for q in sorted(counts)
            ),
            foreign=tuple(sorted(foreign)),
        )

    def ended(self, factory: str, instance: str, since: float) -> EndedAnswer:
        return self._ended.since(factory, instance, since)

    def _hold_reasons(self, schedd: str, factory: str) -> dict[str, str]:
        """Return a reason for each queue that is among the first held jobs."""
        ads = query.held(self._pool, schedd, {"APFFactory": factory}, _EXAMPLES)
        return {text(ad, "APFQueue") or "": text(ad, "HoldReason") or "" for ad in ads}


def _kind(schedd: str, group: Ad) -> str:
    status = number(group, "JobStatus")
    if status not in _KIND:
        raise SourceError(
            f"schedd {schedd} has pilots with JobStatus {status}, which is not known here",
            f"look at them: condor_q -name {schedd} -constraint 'JobStatus == {status}'",
        )
    return _KIND[status]
