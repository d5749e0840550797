"""The submit description of the htcondor plug-in: what it says, and what it refuses to say."""

import getpass
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import SubmitRefused
from core.model.submission import PilotJob
from plugins.condor.description import describe
from plugins.condor.params import HtcondorSubmitParams

HOST = socket.gethostname()
ESC = "\x1b"


def job(**changed: Any) -> PilotJob:
    plain: dict[str, Any] = {
        "factory": "cern-01",
        "instance": "1111",
        "queue": "BNL_PROD",
        "submission": "2222",
        "n": 3,
        "wrapper": "abcd",
        "executable": "/var/lib/apftui/wrappers/abcd.sh",
        "log_dir": "/var/lib/apftui/logs/BNL_PROD",
    }
    return PilotJob.model_validate(plain | changed)


def described(params: HtcondorSubmitParams | None = None, **changed: Any) -> str:
    return describe(job(**changed), params or HtcondorSubmitParams())


def line(text: str, name: str) -> str:
    (found,) = (each for each in text.splitlines() if each.startswith(f"{name} = "))
    return found.removeprefix(f"{name} = ")


def test_a_description_word_by_word() -> None:
    params = HtcondorSubmitParams(requirements='Arch == "X86_64"', request_memory=2000)
    text = described(params, attributes={"+xcount": 8}, environment={"SITE": 'it\'s "x"'})
    assert text == (
        "My.xcount = 8\n"
        'requirements = Arch == "X86_64"\n'
        "periodic_remove = JobStatus == 5 && time() - EnteredCurrentStatus > 3600\n"
        "request_memory = 2000\n"
        "universe = vanilla\n"
        "executable = /var/lib/apftui/wrappers/abcd.sh\n"
        "transfer_executable = True\n"
        "should_transfer_files = YES\n"
        "initialdir = /var/lib/apftui/logs/BNL_PROD\n"
        "output = $(Cluster).$(Process).out\n"
        "error = $(Cluster).$(Process).err\n"
        "log = $(Cluster).$(Process).log\n"
        "environment = \"PANDA_JSID='cern-01' APFFID='cern-01' FACTORYQUEUE='BNL_PROD'"
        f" FACTORYUSER='{getpass.getuser()}' SITE='it''s \"\"x\"\"'"
        f" APFCID='$(Cluster).$(Process)' FACTORY_JOBID='{HOST}#$(Cluster).$(Process)'"
        " APF_PILOT='2222.$(Process)'\"\n"
        "leave_in_queue = (JobStatus == 4 || JobStatus == 3)"
        " && time() - EnteredCurrentStatus < 900\n"
        'My.APFFactory = "cern-01"\n'
        'My.APFInstance = "1111"\n'
        'My.APFQueue = "BNL_PROD"\n'
        'My.APFSubmission = "2222"\n'
        'My.APFWrapper = "abcd"\n'
        'My.MATCH_APF_QUEUE = "BNL_PROD"\n'
        'My.APF_QUEUE = "BNL_PROD"\n'
    )


def test_attributes_are_typed_and_commands_are_as_given() -> None:
    text = described(
        attributes={
            "+text": 'a "b" \\ $(Cluster)',
            "my.Flag": True,
            "My.number": -1.5,
            "+queue": "atlas",
            "rank": "Memory * $(Process)",
            "want_graceful_removal": False,
            "priority": 4,
        }
    )
    assert line(text, "My.text") == '"a \\"b\\" \\ $(DOLLAR)(Cluster)"'
    assert line(text, "My.Flag") == "True"
    assert line(text, "My.number") == "-1.5"
    assert line(text, "My.queue") == '"atlas"'
    assert line(text, "rank") == "Memory * $(Process)"
    assert line(text, "want_graceful_removal") == "False"
    assert line(text, "priority") == "4"


OWN_COMMANDS = (
    "queue Leave_In_Queue executable environment getenv max_materialize Cluster log if apf_queue"
)
OWN_ATTRIBUTES = (
    "+APFSubmission My.apfqueue +MATCH_APF_QUEUE +LeaveJobInQueue my.Environment +Cmd +JobStatus"
)


@pytest.mark.parametrize("name", [*OWN_COMMANDS.split(), *OWN_ATTRIBUTES.split()])
def test_what_is_the_factorys_own_is_refused_by_name(name: str) -> None:
    with pytest.raises(SubmitRefused) as refused:
        described(attributes={name: "x"})
    assert f"attribute {name} is the factory's own" in str(refused.value)


@pytest.mark.parametrize("name", ["a b", "1a", "", "a=b", "a\nqueue 5", "+", "+a.b", "My.", "ä"])
def test_an_attribute_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SubmitRefused, match="is no name") as refused:
        described(attributes={name: 1})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["A B", "1A", "", "A=B", "A'", "A\nqueue 5", "A;B"])
def test_an_environment_variable_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SubmitRefused, match=r"environment variable .*is no name") as refused:
        described(environment={name: "x"})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["APF_PILOT", "APFCID", "FACTORY_JOBID"])
def test_a_pilots_own_ids_are_refused(name: str) -> None:
    with pytest.raises(SubmitRefused, match=f"environment variable {name} is the pilot's own id"):
        described(environment={name: "x"})


def test_what_all_pilots_are_told_can_be_changed_as_in_autopyfactory() -> None:
    environment = line(described(environment={"PANDA_JSID": "other"}), "environment")
    assert "PANDA_JSID='other'" in environment
    assert "PANDA_JSID='cern-01'" not in environment


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("a\nqueue 5", r"has \\x0a"),
        ("a\rb", r"has \\x0d"),
        ("a\0b", r"has \\x00"),
        ("\udc80", r"has \\udc80"),
        ("$$(Name)", r"has \$\$"),
        ("$$", r"has \$\$"),
        ("$(dollar)(Cluster)", r"has \$\(DOLLAR\)"),
    ],
)
def test_text_that_cannot_arrive_as_it_is_is_refused(value: str, why: str) -> None:
    with pytest.raises(SubmitRefused, match="environment variable SITE " + why):
        described(environment={"SITE": value})
    with pytest.raises(SubmitRefused, match=r"attribute \+site " + why):
        described(attributes={"+site": value})


@pytest.mark.parametrize("value", ["a\nqueue 5", "a \\", "a\\  ", "\udc80"])
def test_what_is_written_as_given_stays_on_its_line(value: str) -> None:
    with pytest.raises(SubmitRefused, match="attribute rank "):
        described(attributes={"rank": value})
    with pytest.raises(SubmitRefused, match=r"submit\.requirements "):
        described(HtcondorSubmitParams(requirements=value))


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(SubmitRefused, match="write a number"):
        described(attributes={"+share": number})


@pytest.mark.parametrize("name", ["a\nb", f"a{ESC}]52;c;eA==\x07", "a\u202eb", "x" * 1001])
def test_a_queue_that_would_be_counted_under_another_name_is_refused(name: str) -> None:
    with pytest.raises(SubmitRefused, match="rename it") as refused:
        described(queue=name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("path", ["/a/b\n", "/a/b ", "/a/b\\", "/a/$$b"])
def test_a_path_that_would_be_another_is_refused(path: str) -> None:
    with pytest.raises(SubmitRefused, match="the wrapper's path"):
        described(executable=path)
    with pytest.raises(SubmitRefused, match="the log folder"):
        described(log_dir=path)


# Letters would only dilute what may break a line.
hostile = st.text(st.sampled_from("\"'\\$(){}[]=@#+ \t\n\r\0\x1b\x85\u2028Queue1;,\udc80"))


@given(value=hostile, command=hostile, attribute=hostile, queue=hostile)
def test_whatever_is_written_the_lines_stay_ours(
    value: str, command: str, attribute: str, queue: str
) -> None:
    plain = described(attributes={"rank": "1", "+site": "x"}, environment={"SITE": "x"})
    try:
        text = described(
            queue=queue,
            environment={"SITE": value},
            attributes={"rank": command, "+site": attribute},
        )
    except SubmitRefused:
        return
    assert names(text) == names(plain)
    assert all(not each.rstrip(" \t").endswith("\\") for each in text.split("\n"))


def names(text: str) -> list[str]:
    return [each.partition(" = ")[0] for each in text.split("\n")]
