"""The questions of the htcondor plug-ins: what is never asked of a schedd."""

import subprocess
import sys

import pytest

from core.model.answers import Ended
from plugins.condor.connection import Pool
from plugins.condor.ended import ends
from plugins.condor.params import HtcondorParams
from plugins.condor.query import count_by, matching


def test_a_count_under_a_condition_that_is_not_projected_is_refused() -> None:
    """HTCondor would answer "none", without an error."""
    pool = Pool(HtcondorParams(pool="127.0.0.1:1"))
    with pytest.raises(ValueError, match="APFFactory"):
        count_by(pool, None, ["APFQueue", "JobStatus"], {"APFFactory": "here"})


def test_a_constraint_is_exact() -> None:
    where = {"APFFactory": "cern-01", "APFInstance": "a b"}
    assert matching(where) == 'APFFactory =?= "cern-01" && APFInstance =?= "a b"'


@pytest.mark.parametrize("value", ['"', '" || true', "a\\b", "ü", "a\nb", "\x1b", "$(x)"])
def test_text_that_a_schedd_would_read_in_another_way_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="no plain text"):
        matching({"APFQueue": value})


@pytest.mark.parametrize("attribute", ["", "a b", "true || a", "1a", "ä"])
def test_a_condition_on_what_is_no_attribute_is_refused(attribute: str) -> None:
    with pytest.raises(ValueError, match="no attribute's name"):
        matching({attribute: "x"})


@pytest.mark.parametrize(
    ("ad", "at", "done"),
    [
        ({"CompletionDate": 70, "ExitCode": 0, "ExitBySignal": False}, 70, True),
        ({"CompletionDate": 70, "ExitCode": 1, "ExitBySignal": False}, 70, False),
        # It has run twice, and what it left the first time stands there still.
        ({"CompletionDate": 70, "ExitCode": 0, "ExitBySignal": True}, 70, False),
        ({"CompletionDate": 70}, 70, False),
        ({"CompletionDate": 70, "JobStatus": 3, "ExitCode": 0}, 70, True),
        ({"JobStatus": 4, "ExitCode": 0}, 90, True),
        ({"JobStatus": 3, "ExitCode": 0}, 90, False),
        ({"CompletionDate": 0, "ExitCode": 0}, 90, False),
        ({"CompletionDate": object(), "ExitCode": 0}, 90, False),
        ({}, 90, False),
    ],
)
def test_only_what_ended_by_itself_with_0_is_done(
    ad: dict[str, object], at: float, done: bool
) -> None:
    marks = {"GlobalJobId": "ce#1.0#50", "APFQueue": "Q\x1b", "EnteredCurrentStatus": 90}
    assert list(ends([marks | ad])) == [Ended("ce#1.0#50", "Q\\x1b", at, done)]


@pytest.mark.parametrize("lost", ["GlobalJobId", "APFQueue", "EnteredCurrentStatus"])
def test_a_job_that_lost_its_marks_ends_nobodys_answer(lost: str) -> None:
    marks = {"GlobalJobId": "ce#1.0#50", "APFQueue": "Q", "EnteredCurrentStatus": 90}
    assert list(ends([marks | {lost: None}])) == []


def test_the_modules_load_without_htcondors_bindings() -> None:
    code = (
        "import sys; import plugins.batch.htcondor, plugins.submit.htcondor;"
        "print({'htcondor2', 'classad2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
