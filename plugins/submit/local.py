"""local: a submission is a folder of pilots' folders that appears whole or not at all."""

import json
import os
import pwd
import time
from contextlib import suppress

from core.model.errors import ApftuiError, SourceError, SubmitRefused
from core.model.plugin import NoParams, Submit
from core.model.submission import Found, PilotJob, Submitted
from core.model.text import clean
from plugins.batch.local import LocalParams
from plugins.local import ended, pilots, removal, starter


class LocalSubmit(Submit[LocalParams, NoParams]):
    """Writes folders; pilots that find no free slot are started by the batch plug-in's upkeep."""

    params = NoParams
    batch_params = LocalParams

    def describe(self, job: PilotJob, params: NoParams) -> str:
        """Return the job as JSON, with APF's environment and the operator's over it.

        A pilot's own numbers (APF_PILOT, APFCID, FACTORY_JOBID) are added when it starts.
        """
        environment = _apf_environment(job) | job.environment
        for name, value in environment.items():
            if not name or "=" in name or not _fits_execve(name + value):
                raise SubmitRefused(
                    f"environment variable {clean(name, 80)!r} cannot be given to a process",
                    f"mend `environment` of queue {clean(job.queue, 80)}",
                )
        described = job.model_copy(update={"environment": environment})
        return json.dumps(described.model_dump(mode="json"), indent=1, sort_keys=True)

    def submit(self, schedd: str, description: str, n: int) -> Submitted:
        job = PilotJob.model_validate_json(description)
        if job.n != n:
            raise SubmitRefused(f"the description is of {job.n} pilots, not of {n}")
        if not os.access(job.executable, os.R_OK | os.X_OK):
            raise SubmitRefused(f"cannot execute {clean(job.executable)}", "render it anew")
        pilots.commit(self.batch.path, job, description)
        # It is submitted, whatever hinders the start: the batch plug-in's upkeep says what does.
        with suppress(ApftuiError, OSError):
            starter.start_waiting(self.batch.path, self.batch.slots)
        return Submitted(cluster=job.submission, n=n)

    def look(self, schedd: str, submission: str, since: float) -> tuple[Found, ...]:
        path = self.batch.path
        if not path.is_dir():
            raise SourceError(f"there is no folder {path}", "is its disk mounted?")
        # In this order: what ends between the two looks is moved from the first to the second.
        for folder in (path, ended.folder(path)):
            found = pilots.find(folder, submission)
            if found is not None:
                return (_found(found),)
        if since < time.time() - self.batch.keep:
            raise SourceError(
                f"{submission} is older than what {path} keeps of ended pilots",
                "tell with `apftui intent resolve`",
            )
        return ()

    def sweep(self, schedd: str, factory: str, instance: str) -> tuple[Found, ...]:
        known = {
            submission.job.submission: _found(submission)
            for folder in (self.batch.path, ended.folder(self.batch.path))
            for submission in pilots.live(folder)
            if (submission.job.factory, submission.job.instance) == (factory, instance)
        }
        return tuple(known.values())

    def remove(self, schedd: str, found: Found) -> None:
        """End the pilots: those that wait never start, those that run are gone on return."""
        submission = pilots.find(self.batch.path, found.submission)
        if submission is not None:
            removal.remove(submission.pilots())


def _found(submission: pilots.Submission) -> Found:
    job = submission.job
    return Found(
        submission=job.submission,
        queue=job.queue,
        cluster=job.submission,
        n=job.n,
        wrapper=job.wrapper,
        at=submission.at,
    )


def _apf_environment(job: PilotJob) -> dict[str, str]:
    """Return what AutoPyFactory gives to every pilot."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return {
        "APFFID": job.factory,
        "PANDA_JSID": job.factory,
        "FACTORYQUEUE": job.queue,
        "FACTORYUSER": user,
    }


def _fits_execve(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
