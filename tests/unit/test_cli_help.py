"""Every command explains itself with an example, quickly; wrong usage is exit code 2."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from apftui.cli import main
from tests.running import local_settings
from tests.typed import apftui


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


EVERY = list(commands(main))


def test_the_commands_are_those_of_the_handbook() -> None:
    plain = {" ".join(path) for path in EVERY}
    wanted = "init,check,plan,status,explain,decide,queue list,queue show,queue pause,queue drain"
    wanted += ",queue resume,intent list,intent resolve,reload,stop"
    assert plain >= set(wanted.split(","))


@pytest.mark.parametrize("path", EVERY, ids=lambda path: " ".join(path) or "apftui")
def test_help_has_an_example(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*path, "--help"], prog_name="apftui")
    assert done.exit_code == 0
    example = done.output.partition("Example:\n")[2]
    assert f"apftui {' '.join(path)}".strip() in example
    assert "--config" in done.output
    assert "--json" in done.output


def test_help_loads_next_to_nothing() -> None:
    code = (
        "import sys\nfrom apftui.cli import main\n"
        "try: main.main(['status', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'pydantic', 'aiohttp', 'anyio', 'textual', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_is_quick() -> None:
    """0.3 s on a machine where the bare interpreter takes 0.02 s."""

    def best(*args: str) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([sys.executable, *args], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - start)
        return min(times)

    assert best("-m", "apftui", "--help") < 15 * best("-c", "pass")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nonsense"], "No such command"),
        (["--nonsense"], "No such option"),
        (["--cycles", "3"], "--cycles goes with --no-ui"),
        (["--no-ui", "--cycles", "0"], "--cycles"),
        (["--no-ui", "--read-only"], "--read-only is for the console"),
        (["--demo", "--config", "x.toml"], "settings of its own"),
        (["--no-ui", "status"], "--no-ui does not go with a command"),
        (["--json"], "--json needs a command"),
        (["explain"], "Missing argument"),
        (["decide", "Q", "--pending", "-1"], "--pending"),
        (["decide", "Q", "--pending", "many"], "--pending"),
        (["decide", "Q", "--status", "fine"], "--status"),
        (["queue", "pause", "Q", "--for", "soon"], "write 90s, 6m, 2h or 1d"),
        (["queue", "pause", "Q", "--for", "0s"], "longer than nothing"),
        (["queue", "pause"], "Missing argument"),
        (["intent", "resolve", "x", "absent"], "--why"),
        (["intent", "resolve", "x", "perhaps", "--why", "y"], "perhaps"),
        (["queue", "pause", "Q", "--why", "x" * 501], "501 characters: say it in 500"),
        (["undo", "3f2a9c1e", "--why", "x" * 501], "501 characters: say it in 500"),
        (["intent", "resolve", "x", "absent", "--why", "x" * 501], "say it in 500"),
        (["wrappers", "publish", "w", "f", "--message", "x" * 501], "say it in 500"),
        (["queue", "pause", "Q", "--why", "St\udcf6rung"], "St\\udcf6rung is not UTF-8"),
        (["queue", "set", "Q\udcff", "paused=true"], "is not UTF-8"),
        (["status", "--config", "/nowhere\udcff.toml"], "/nowhere\\udcff.toml"),
        (["init", "a", "--config", "b"], "not both"),
        (["status", "--config", "/nowhere/factory.toml"], "/nowhere/factory.toml"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_wrong_usage_is_code_2_and_says_what(args: list[str], says: str) -> None:
    done = CliRunner().invoke(main, args, prog_name="apftui")
    assert done.exit_code == 2, done.output
    assert says in done.output
    assert not done.stdout


@pytest.mark.parametrize("command", [[], ["check"], ["status"], ["plan"], ["decide", "Q"]])
def test_without_settings_it_names_the_places(command: list[str], home: Path) -> None:
    answer = apftui(*command)
    assert answer.code == 2
    assert f"{home}/.config/apftui/factory.toml, /etc/apftui/factory.toml" in answer.err
    assert "apftui init" in answer.err
    assert answer.err.count("\n") == 1


def test_common_options_stand_before_or_after_the_command(tmp_path: Path) -> None:
    file = tmp_path / "factory.toml"
    file.write_text(local_settings("[queues.Q]"))
    orders: list[list[str | Path]] = [
        ["--config", file, "--json", "check"],
        ["check", "--json", "--config", file],
        ["--json", "check", "--config", file],
    ]
    for args in orders:
        answer = apftui(*args)
        assert answer.code == 0, answer.err
        assert answer.json["queues"][0]["name"] == "Q"
    answer = apftui("intent", "--config", file, "list", "--json")
    assert (answer.code, answer.json) == (0, [])


def test_the_console_without_a_terminal_says_what_to_type(tmp_path: Path) -> None:
    file = tmp_path / "factory.toml"
    file.write_text(local_settings("[queues.Q]"))
    answer = apftui("--config", file)
    assert answer.code == 2
    assert "apftui --no-ui" in answer.err
