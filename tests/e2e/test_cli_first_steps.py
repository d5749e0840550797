"""From nothing to pilots that run: init, check, plan, one pass."""

from pathlib import Path

import pytest

from tests.typed import apftui, tree


def test_init_check_plan_and_a_pass(home: Path) -> None:
    answer = apftui("init")
    assert answer.code == 0, answer.err
    for command in ("apftui check", "apftui plan", "apftui --no-ui --cycles 1"):
        assert command in answer.out
    settings = home / ".config/apftui/factory.toml"
    queue = home / ".local/state/apftui/payloads/first"
    assert settings.is_file()
    assert {p.stat().st_mode & 0o7777 for p in (queue, *queue.iterdir())} == {0o770}

    assert apftui("check").code == 0
    assert [d["submit"] for d in apftui("plan", "--json").json] == [1]
    ran = apftui("--no-ui", "--cycles", "1")
    assert ran.code == 0, ran.err
    assert "first +1" in ran.err
    assert [p.name.rpartition(",")[2] for p in (queue / "done").iterdir()] == ["hello"]
    told = apftui("explain", "first", "--json").json
    assert (told["submitted"], told["submissions"][0]["state"]) == (1, "confirmed")
    assert "1 activated" in told["why"]


def test_a_second_init_changes_nothing(home: Path) -> None:
    assert apftui("init").code == 0
    before = tree(home)
    answer = apftui("init")
    assert answer.code == 1
    assert "stays as it is" in answer.err
    assert tree(home) == before


@pytest.mark.parametrize("name", ["plain", "with space and 'quote' \"two\" ü"])
def test_init_into_a_folder_says_where_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    made = apftui("init", folder)
    assert made.code == 0, made.err
    assert "--config" in made.out
    answer = apftui("plan", "--json", "--config", folder / "factory.toml")
    assert answer.code == 0, answer.err
    assert answer.json[0]["submit"] == 1


def test_log_lines_as_json(home: Path) -> None:
    assert apftui("init").code == 0
    ran = apftui("--no-ui", "--cycles", "1", "--log-format", "json")
    assert ran.code == 0
    assert '"submit": {"first": 1}' in ran.err
