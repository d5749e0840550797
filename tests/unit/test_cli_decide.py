"""`apftui decide`: a queue's chain on given numbers, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from tests.running import local_settings
from tests.typed import Answer, apftui, tree

QUEUES = """
[queues.Q]
chain = ["ready", "scale", "max-per-cycle", "min-per-cycle", "max-pending"]
[queues.Q.sched]
ready.offset = 4
scale.factor = 0.5
max-per-cycle.maximum = 100
min-per-cycle.minimum = 0
max-pending.maximum = 25
[queues.R]
chain = ["fixed"]
[queues.R.sched.fixed]
pilots_per_cycle = 5000
"""
APF = """
[defaults.sched]
ready.offset = 4
scale.factor = 0.5
max-per-cycle.maximum = 100
min-per-cycle.minimum = 0
[queues.OURS]
chain = APF_CHAIN
sched.max-pending.maximum = 25
[queues.THEIRS]
chain = APF_CHAIN
sched.max-pending.maximum = 25
apf_compat = true
""".replace(
    "APF_CHAIN",
    '["ready", "scale", "max-per-cycle", "min-per-cycle", "status-test", "status-offline",'
    ' "max-pending"]',
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "factory.toml"
    file.write_text(local_settings(QUEUES))
    return file


def decide(config: Path, queue: str, *numbers: str) -> Answer:
    answer = apftui("decide", queue, *numbers, "--config", config)
    assert answer.code == 0, answer.err
    return answer


def decided(config: Path, queue: str, *numbers: str) -> Any:
    return decide(config, queue, *numbers, "--json").json


def test_the_worked_example_of_autopyfactory(config: Path) -> None:
    before = tree(config.parent)
    told = decided(config, "Q", "--activated", "100", "--pending", "10", "--running", "8")
    assert list(told) == [
        "queue",
        "submit",
        "remove",
        "blind",
        "blind_because",
        "bound_by",
        "steps",
    ]
    assert (told["submit"], told["remove"], told["bound_by"]) == (15, 0, "max-pending")
    assert (told["blind"], told["blind_because"]) == (False, None)
    assert [(s["plugin"], s["in"], s["out"]) for s in told["steps"]] == [
        ("ready", 0, 86),
        ("scale", 86, 43),
        ("max-per-cycle", 43, 43),
        ("min-per-cycle", 43, 43),
        ("max-pending", 43, 15),
    ]
    assert all(s["reason"] for s in told["steps"])
    assert tree(config.parent) == before


@pytest.fixture
def as_in_apf(tmp_path: Path) -> Path:
    file = tmp_path / "factory.toml"
    text = local_settings(APF).replace("[defaults.sched.max-pending]\nmaximum = 100\n", "")
    file.write_text(text)
    return file


@pytest.mark.parametrize("queue", ["OURS", "THEIRS"])
def test_the_worked_example_holds_both_ways(as_in_apf: Path, queue: str) -> None:
    told = decided(as_in_apf, queue, "--activated", "100", "--pending", "10", "--running", "8")
    assert (told["submit"], told["bound_by"]) == (15, "max-pending")
    assert [(s["plugin"], s["out"]) for s in told["steps"]] == [
        ("ready", 86),
        ("scale", 43),
        ("max-per-cycle", 43),
        ("min-per-cycle", 43),
        ("status-test", 43),
        ("status-offline", 43),
        ("max-pending", 15),
    ]


@pytest.mark.parametrize(
    ("numbers", "ours", "theirs"),
    [
        ("--activated 100 --pending 0 --running 8", 25, 48),  # nothing is pending: no limit in APF
        ("--activated 100 --pending 0 --running 8 --held 10", 15, 15),
        ("--activated 100 --pending 10 --running 8 --status test", 0, 0),
        ("--activated 100 --pending 10 --running 8 --status offline", 0, 0),
        ("--activated 100 --pending 10 --running 8 --status brokeroff", 0, 15),
        ("--activated 9000 --pending 0 --running 8", 25, 100),
    ],
)
def test_where_apf_compat_makes_a_difference(
    as_in_apf: Path, numbers: str, ours: int, theirs: int
) -> None:
    assert decided(as_in_apf, "OURS", *numbers.split())["submit"] == ours
    assert decided(as_in_apf, "THEIRS", *numbers.split())["submit"] == theirs


def test_with_apf_compat_unknown_is_blind_and_max_submit_holds(as_in_apf: Path) -> None:
    told = decided(as_in_apf, "THEIRS", "--pending", "0", "--running", "8")
    assert (told["blind"], told["submit"]) == (True, 0)
    text = as_in_apf.read_text()
    as_in_apf.write_text(text.replace("cycle = 0.2", "cycle = 0.2\nmax_submit = 7"))
    told = decided(as_in_apf, "THEIRS", "--activated", "9", "--pending", "0", "--running", "8")
    assert told["submit"] == 3
    told = decided(as_in_apf, "THEIRS", "--activated", "99", "--pending", "0", "--running", "8")
    assert (told["submit"], told["bound_by"]) == (7, "max_submit")


@pytest.mark.parametrize(
    ("numbers", "submit"),
    [
        ("--activated 100 --pending 10 --running 8", 22),
        ("--activated 100 --pending 10 --running 8 --status test", 3),
        ("--activated 100 --pending 10 --running 8 --held 1 --status test", 0),
        ("--activated 100 --pending 10 --running 8 --status offline", 0),
    ],
)
def test_activated_with_the_names_that_it_has_in_autopyfactory(
    tmp_path: Path, numbers: str, submit: int
) -> None:
    file = tmp_path / "factory.toml"
    file.write_text(
        local_settings(
            """[queues.Q]
            chain = ["activated"]
            [queues.Q.sched]
            activated.default = 1
            activated.max_jobs_torun = 40
            activated.max_pilots_per_cycle = 50
            activated.min_pilots_per_cycle = 2
            activated.min_pilots_pending = 5
            activated.max_pilots_pending = 60
            activated.testmode.allowed = true
            activated.testmode.pilots = 3
            activated.testmode.max_pending = 10
            """
        )
    )
    assert decided(file, "Q", *numbers.split())["submit"] == submit


def test_held_pilots_count_as_pending(config: Path) -> None:
    numbers = ("--activated", "100", "--pending", "10", "--running", "8", "--held", "15")
    assert decided(config, "Q", *numbers)["submit"] == 0


@pytest.mark.parametrize("left_out", ["--activated", "--pending", "--running"])
def test_a_number_that_is_not_given_is_unknown_and_the_chain_blind(
    config: Path, left_out: str
) -> None:
    numbers = [n for n in ("--activated", "--pending", "--running") if n != left_out]
    told = decided(config, "Q", *(word for n in numbers for word in (n, "5")))
    assert told["blind"] is True
    assert left_out.strip("-") in told["blind_because"]
    assert (told["submit"], told["steps"], told["bound_by"]) == (0, [], None)


def test_max_submit_bounds_whatever_a_plugin_says(config: Path) -> None:
    told = decided(config, "R", "--pending", "0", "--running", "0")
    assert (told["submit"], told["bound_by"]) == (1000, "max_submit")


def test_for_people_it_is_a_table_of_steps(config: Path) -> None:
    out = decide(config, "Q", "--activated", "9", "--pending", "1", "--running", "0").out
    assert out.startswith("Q: submit 2, bound by scale\n")
    assert "ready" in out
    assert "9 activated - 4 offset - 1 pending" in out
    blind = decide(config, "Q").out
    assert "blind" in blind
    assert "activated is unknown" in blind


def test_a_queue_that_is_not_there_is_named_with_the_nearest(config: Path) -> None:
    answer = apftui("decide", "q", "--config", config)
    assert answer.code == 1
    assert answer.err == "apftui: there is no queue q; did you mean Q?\n"


def test_an_operators_override_counts(config: Path) -> None:
    state = config.parent / "state"
    state.mkdir()
    (state / "overrides.toml").write_text(
        'version = 1\naction = "a"\n[[entries]]\nqueue = "Q"\nkey = "sched.max-pending.maximum"\n'
        'value = 12\nby = "me"\nat = 1.0\nwhy = ""\naction = "a"\n'
    )
    told = decided(config, "Q", "--activated", "100", "--pending", "10", "--running", "8")
    assert told["submit"] == 2


def test_hostile_text_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "a\x1b]52;c;aGk=\x07b.toml"
    file.write_text(local_settings('[queues."x\\u001b[2J$(id)[/x]"]'))
    for command in (["check"], ["plan"], ["decide", "nope"], ["status"]):
        answer = apftui(*command, "--config", file)
        assert "\x1b" not in answer.out + answer.err
        assert "\\x1b" in answer.out + answer.err
