"""The real htcondor submit plug-in, which waits at a named point if a test says so.

A test makes the file `<APFTUI_TEST_PAUSE>/<point>`; the worker that comes there writes its pid to
`<point>.reached` and waits until the file is gone.
"""

import os
import time
from pathlib import Path

from core.model.submission import PilotJob, Submitted
from plugins.condor.params import HtcondorSubmitParams
from plugins.submit.htcondor import HtcondorSubmit


class PausedSubmit(HtcondorSubmit):
    def describe(self, job: PilotJob, params: HtcondorSubmitParams) -> str:
        described = super().describe(job, params)
        pause("unwritten")
        return described

    def submit(self, schedd: str, description: str, n: int) -> Submitted:
        pause("written")
        reached("connected")
        receipt = super().submit(schedd, description, n)
        pause("committed")
        return receipt


def pause(point: str) -> None:
    file = reached(point)
    while file.exists():
        time.sleep(0.01)


def reached(point: str) -> Path:
    file = Path(os.environ["APFTUI_TEST_PAUSE"]) / point
    if file.exists():
        fresh = file.with_suffix(".new")
        fresh.write_text(str(os.getpid()))
        fresh.rename(file.with_suffix(".reached"))
    return file
