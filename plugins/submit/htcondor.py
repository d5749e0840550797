"""htcondor: pilots as jobs of a schedd, in the vanilla universe."""

from typing import Any

from core.model.errors import SourceError, SubmitRefused
from core.model.plugin import Submit
from core.model.submission import Found, PilotJob, Submitted
from plugins.condor import description, query
from plugins.condor.connection import Pool, told
from plugins.condor.params import HtcondorParams, HtcondorSubmitParams
from plugins.condor.query import Ad


class HtcondorSubmit(Submit[HtcondorParams, HtcondorSubmitParams]):
    """One submission is one cluster: a schedd takes it in one transaction, all or nothing.

    The schedd and this host share their files: wrappers and logs are not spooled.
    """

    params = HtcondorSubmitParams
    batch_params = HtcondorParams

    def __init__(self, batch: HtcondorParams) -> None:
        super().__init__(batch)
        self._pool = Pool(batch)

    def describe(self, job: PilotJob, params: HtcondorSubmitParams) -> str:
        return description.describe(job, params)

    def submit(self, schedd: str, description: str, n: int) -> Submitted:
        try:
            target = self._pool.locate(schedd).schedd
            import htcondor2

            jobs = htcondor2.Submit(description)
        except SourceError as error:
            raise SubmitRefused(error.problem, error.cure) from error
        except Exception as error:
            raise SubmitRefused(f"HTCondor cannot read the description: {told(error)}") from error
        # From here on no exception says that nothing was committed, whatever its text.
        result = target.submit(jobs, count=n)
        return Submitted(cluster=str(result.cluster()), n=result.num_procs())

    def look(self, schedd: str, submission: str, since: float) -> tuple[Found, ...]:
        where = {"APFSubmission": submission}
        # In this order: a job is written to the history before it leaves the queue.
        ads = query.clusters(self._pool, schedd, where) or query.ended(
            self._pool, schedd, where, since
        )
        return _found(ads)

    def sweep(self, schedd: str, factory: str, instance: str) -> tuple[Found, ...]:
        where = {"APFFactory": factory, "APFInstance": instance}
        return _found(query.clusters(self._pool, schedd, where))

    def remove(self, schedd: str, found: Found) -> None:
        constraint = f"ClusterId == {int(found.cluster)} && " + query.matching(
            {"APFSubmission": found.submission}
        )

        def action(schedd: Any) -> Any:
            from htcondor2 import JobAction

            return schedd.act(JobAction.Remove, constraint)

        done = self._pool.ask(schedd, action)[1]
        if refused := done["TotalPermissionDenied"] + done["TotalError"]:
            raise SourceError(
                f"cluster {found.cluster} on schedd {schedd}: {refused} jobs not removed",
                f"somebody who may: condor_rm -name {schedd} {found.cluster}",
            )


def _found(ads: list[Ad]) -> tuple[Found, ...]:
    return tuple(sorted(map(_read, ads), key=lambda found: int(found.cluster)))


def _read(ad: Ad) -> Found:
    cluster = query.number(ad, "ClusterId")
    submission = query.text(ad, "APFSubmission")
    if submission is None:
        raise SourceError(
            f"cluster {cluster} bears our factory's name and no submission",
            f"look at it, then condor_rm {cluster}",
        )
    return Found(
        submission=submission,
        queue=query.text(ad, "APFQueue") or "",
        cluster=str(cluster),
        n=query.number(ad, "TotalSubmitProcs"),
        wrapper=query.text(ad, "APFWrapper") or "",
        at=query.number(ad, "QDate"),
    )
