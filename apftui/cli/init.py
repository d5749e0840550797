"""`apftui init`: settings that run pilots on this machine, and the folders that they name."""

from __future__ import annotations

import os
import re
import shlex
import socket
from pathlib import Path

import click

from apftui import payloads
from apftui.cli import show
from apftui.cli.command import Command, Common, Failed

_TEMPLATE = """\
# Settings of a pilot factory. Look at them with `apftui check` after a change; a running factory
# takes them with `apftui reload`. Durations: 90s, 6m, 2h, 1d.

[factory]
name = {name}
state = {state}  # databases, operators' overrides, wrappers, pilot logs
cycle = "60s"  # how often all queues are decided

# Where payload jobs wait. Here: executable files in {payloads_comment}/QUEUE/new.
[wms.files]
plugin = "directory"
path = {payloads}
period = "10s"

# Where pilots run. Here: as processes of this machine, {slots} at a time.
[batch.here]
plugin = "local"
path = {pilots}
slots = {slots}
period = "10s"

# What every queue starts from. The chain makes the number of pilots, step by step:
#   ready          one for each payload that waits and that no pilot has been sent for
#   max-per-cycle  at most so many in one pass
#   max-pending    at most so many that wait for a slot
# There are more: activated, nqueue, fixed, null, scale, min-per-cycle, min-pending, max-to-run,
# keep-n-running, status-test, status-offline.
[defaults]
wms = "files"
batch = "here"
wrapper = "directory"  # claims payloads of its queue and runs them
chain = ["ready", "max-per-cycle", "max-pending"]
[defaults.sched.max-per-cycle]
maximum = 10
[defaults.sched.max-pending]
maximum = 20

[queues.first]

# Another queue needs its folders, for example:
#   mkdir -m 770 {second} && mkdir -m 770 {second}/{{new,running,done,failed}}
# [queues.second]
# paused = true
# [queues.second.sched.max-pending]
# maximum = 5
"""


@click.command(cls=Command, example="apftui init\napftui init ~/factory")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def init(common: Common, folder: Path | None = None) -> None:
    """Write settings that run pilots on this machine.

    Without DIR the settings go to $XDG_CONFIG_HOME/apftui/factory.toml and the rest to
    $XDG_STATE_HOME/apftui; with DIR all of it goes there. Nothing is overwritten.
    """
    if folder is not None and common.config is not None:
        raise click.UsageError("give DIR or --config, not both")
    settings, state = _places(common.config, folder)
    jobs = state / "payloads"
    text = _text(state, jobs)
    try:
        settings.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with settings.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failed(f"{settings} is there already and stays as it is") from None
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    payloads.make_queue(jobs, "first")
    payloads.add(jobs, "first", "hello", "echo hello from $(hostname)")
    if common.json:
        show.as_json({"settings": str(settings), "state": str(state), "payloads": str(jobs)})
        return
    click.echo(f"wrote {settings}, state in {state}")
    click.echo(f"one payload waits in {jobs}/first/new; add executable files there\n")
    click.echo("next, type:")
    named = "" if folder is None and common.config is None else f" --config {_shell(settings)}"
    for what, why in (
        ("check", "look the settings over"),
        ("plan", "what the first pass would do"),
        ("--no-ui --cycles 1", "one pass here, until its pilots have ended"),
        ("", "the console, on a factory in the background"),
    ):
        click.echo(f"  {f'apftui {what}'.rstrip()}{named}".ljust(32 + len(named)) + f"# {why}")


def _places(config: Path | None, folder: Path | None) -> tuple[Path, Path]:
    """Return where settings and state go: the settings to where they are looked for."""
    if folder is not None:
        folder = folder.expanduser().absolute()
        return folder / "factory.toml", folder / "state"
    if config is None and (named := os.environ.get("APFTUI_CONFIG")):
        config = Path(named)
    if config is not None:
        config = config.expanduser().absolute()
        return config, config.parent / "state"
    return _xdg("XDG_CONFIG_HOME", ".config") / "factory.toml", _xdg(
        "XDG_STATE_HOME", ".local/state"
    )


def _xdg(variable: str, below_home: str) -> Path:
    named = Path(os.environ.get(variable) or "")
    return (named if named.is_absolute() else Path.home() / below_home) / "apftui"


def _text(state: Path, jobs: Path) -> str:
    import tomli_w

    def value(of: object) -> str:
        return tomli_w.dumps({"x": str(of)}).removeprefix("x = ").rstrip("\n")

    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().split(".")[0]).lstrip("-")[:40]
    return _TEMPLATE.format(
        name=value(host or "local"),
        state=value(state),
        payloads=value(jobs),
        payloads_comment=_comment(str(jobs)),
        pilots=value(state / "local"),
        slots=len(os.sched_getaffinity(0)),
        second=_comment(_shell(jobs / "second")),
    )


def _comment(text: str) -> str:
    from core.model.text import clean

    return clean(text)


def _shell(path: Path) -> str:
    return shlex.quote(str(path))
