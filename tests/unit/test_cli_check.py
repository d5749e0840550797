"""`apftui check`: everything that is wrong, told at once, and nothing written."""

import re
from pathlib import Path

import pytest

from tests.running import REPOSITORY, local_settings
from tests.typed import apftui, tree


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "factory.toml"


def test_good_settings_are_summed_up(config: Path) -> None:
    config.write_text(
        local_settings("[queues.Q]\napf_compat = true\n[queues.R]\npaused = true\ndrain = true")
    )
    before = tree(config.parent)
    answer = apftui("check", "--config", config)
    assert (answer.code, answer.err) == (0, "")
    assert f"{config}: ok" in answer.out
    assert "Q: ready, max-pending (apf_compat)" in answer.out
    assert "R: ready, max-pending (paused, drain)" in answer.out
    told = apftui("check", "--json", "--config", config).json
    assert (told["ok"], told["problems"]) == (True, [])
    assert told["factory"]["runs"] is False
    assert [q["paused"] for q in told["queues"]] == [False, True]
    assert [q["drain"] for q in told["queues"]] == [False, True]
    assert [q["apf_compat"] for q in told["queues"]] == [True, False]
    assert tree(config.parent) == before


def test_every_problem_has_its_line(config: Path) -> None:
    config.write_text(local_settings("[queues.Q]\nwrapperr = 'x'\n[queues.R]\nbatch = 'hera'"))
    answer = apftui("check", "--config", config)
    assert answer.code == 1
    assert "[queues.Q] unknown key wrapperr; did you mean wrapper?" in answer.err
    assert "did you mean here?" in answer.err
    told = apftui("check", "--json", "--config", config)
    assert told.code == 1
    assert told.json["ok"] is False
    assert sum("[queues." in line for line in told.json["problems"]) == 2


def test_the_settings_of_the_readme_are_good(config: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert examples
    for example in examples:
        config.write_text(example.replace('"/var/lib/apftui"', '"state"'))
        answer = apftui("check", "--config", config)
        assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize(
    ("wrapper", "says"),
    [
        ("generic", "queue Q: wrapper generic needs its parameter"),
        ("direktory", "did you mean directory?"),
    ],
)
def test_wrappers_are_rendered(config: Path, wrapper: str, says: str) -> None:
    config.write_text(local_settings(f'[queues.Q]\nwrapper = "{wrapper}"'))
    answer = apftui("check", "--config", config)
    assert answer.code == 1
    assert says in answer.err


def test_a_state_folder_that_cannot_be_made(config: Path) -> None:
    config.write_text(local_settings("[queues.Q]"))
    (config.parent / "state").write_text("a file")
    answer = apftui("check", "--config", config)
    assert answer.code == 1
    assert "is a file" in answer.err


def test_a_socket_path_that_the_kernel_would_not_take(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    (deep / "factory.toml").write_text(local_settings("[queues.Q]"))
    answer = apftui("check", "--config", deep / "factory.toml")
    assert answer.code == 1
    assert "107" in answer.err


def test_overrides_that_cannot_be_read(config: Path) -> None:
    config.write_text(local_settings("[queues.Q]"))
    (config.parent / "state").mkdir()
    (config.parent / "state" / "overrides.toml").write_text("[[")
    answer = apftui("check", "--config", config)
    assert answer.code == 1
    assert "overrides.toml" in answer.err
