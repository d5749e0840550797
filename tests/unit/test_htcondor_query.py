"""The questions of the htcondor plug-ins: what is never asked of a schedd."""

import subprocess
import sys

import pytest

from plugins.condor.connection import Pool
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


def test_the_modules_load_without_htcondors_bindings() -> None:
    code = (
        "import sys; import plugins.batch.htcondor, plugins.submit.htcondor;"
        "print({'htcondor2', 'classad2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
