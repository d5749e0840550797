"""A submission in the submit language, exactly as the schedd gets it."""

import os
import pwd
import socket

from core.model.errors import SubmitRefused
from core.model.submission import PilotJob
from core.model.text import clean
from plugins.condor.attributes import worded
from plugins.condor.params import HtcondorSubmitParams
from plugins.condor.quoting import environment, given, identifier, literal, path, string

KEPT_S = 900
"""How long an ended job stays in the queue, for a look at what became of a submission."""

_JOB = "$(Cluster).$(Process)"


def describe(job: PilotJob, params: HtcondorSubmitParams) -> str:
    """Return the description of a submission. Raise SubmitRefused for what cannot be said."""
    if clean(job.queue) != job.queue:
        # Counts come back under the cleaned name: this queue would seem to have no pilots.
        raise SubmitRefused(
            f"queue {clean(job.queue)}: its name has control characters", "rename it"
        )
    ours = [
        *_wishes(params),
        ("universe", "vanilla"),
        ("executable", path("the wrapper's path", job.executable)),
        ("transfer_executable", "True"),
        ("should_transfer_files", "YES"),
        ("initialdir", path("the log folder", job.log_dir)),
        ("output", f"{_JOB}.out"),
        ("error", f"{_JOB}.err"),
        ("log", f"{_JOB}.log"),
        ("environment", environment(_variables(job))),
        (
            "leave_in_queue",
            f"(JobStatus == 4 || JobStatus == 3) && time() - EnteredCurrentStatus < {KEPT_S}",
        ),
        ("My.APFFactory", string("the factory's name", job.factory)),
        ("My.APFInstance", string("the factory's instance", job.instance)),
        ("My.APFQueue", string("the queue's name", job.queue)),
        ("My.APFSubmission", string("the submission", job.submission)),
        ("My.APFWrapper", string("the wrapper", job.wrapper)),
        ("My.MATCH_APF_QUEUE", string("the queue's name", job.queue)),
        ("My.APF_QUEUE", string("the queue's name", job.queue)),
    ]
    theirs = worded(job.attributes, [name for name, _ in ours])
    return "".join(f"{name} = {value}\n" for name, value in [*theirs, *ours])


def _wishes(params: HtcondorSubmitParams) -> list[tuple[str, str]]:
    """Return the commands of the queue's table `submit`; its keys are their names."""
    return [
        (name, given(f"submit.{name}", str(value)))
        for name, value in params.model_dump(exclude_none=True).items()
    ]


def _variables(job: PilotJob) -> dict[str, str]:
    """Return AutoPyFactory's environment, the operator's over it, and the pilot's own ids."""
    factory = literal("the factory's name", job.factory)
    common = {
        "PANDA_JSID": factory,
        "APFFID": factory,
        "FACTORYQUEUE": literal("the queue's name", job.queue),
        "FACTORYUSER": _user(),
    }
    ids = {
        "APFCID": _JOB,
        "FACTORY_JOBID": f"{socket.gethostname()}#{_JOB}",
        "APF_PILOT": f"{job.submission}.$(Process)",
    }
    theirs = {}
    for name, value in job.environment.items():
        what = f"environment variable {clean(name, 100)}"
        if identifier(what, name) in ids:
            raise SubmitRefused(
                f"{what} is the pilot's own id", "take it out of the queue's environment"
            )
        theirs[name] = literal(what, value)
    return common | theirs | ids


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.getuid())
