"""`apftui` itself: the console on a factory, the factory without one, the demo."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from apftui.cli.command import Common, Failed, Misplaced, Root
from apftui.cli.place import Place, place, refused, settings_file


@click.group(
    cls=Root,
    invoke_without_command=True,
    example="apftui\napftui --no-ui --log-format json\napftui status --config other.toml",
)
@click.option("--read-only", is_flag=True, help="A console that changes and starts nothing.")
@click.option("--no-ui", is_flag=True, help="Run the factory here, its log on stderr.")
@click.option(
    "--cycles",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --no-ui: N passes, then wait up to 60 s for local pilots, and end.",
)
@click.option(
    "--log-format",
    type=click.Choice(["human", "json"]),
    help="With --no-ui: how log lines look; else human.",
)
@click.option("--demo", is_flag=True, help="A factory to play with; it leaves nothing behind.")
@click.version_option(package_name="apftui", prog_name="apftui")
@click.pass_context
def main(
    context: click.Context,
    read_only: bool,
    no_ui: bool,
    cycles: int | None,
    log_format: str | None,
    demo: bool,
) -> None:
    """Keep every site queue filled with just as many pilots as there is work for.

    Without a command: the console, on the factory that runs, or on one that it starts in the
    background if you say so. Quitting the console leaves the factory running.
    """
    common = context.ensure_object(Common)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    headless = no_ui or (demo and not terminal)
    _check_usage(context, headless)
    if context.invoked_subcommand is not None:
        return
    if demo:
        from apftui import demo as shown

        if headless:
            shown.run_headless(cycles, log_format == "json")
        else:
            context.exit(shown.run_console(read_only))
    elif headless:
        from apftui.cli import headless as foreground

        foreground.run(settings_file(common), cycles, log_format == "json")
    else:
        context.exit(_console(context, common, read_only, terminal))


def _check_usage(context: click.Context, headless: bool) -> None:
    given = context.params
    if context.invoked_subcommand is not None:
        for name in ("read_only", "no_ui", "cycles", "log_format", "demo"):
            if given[name]:
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(f"{option} does not go with a command")
        return
    if context.ensure_object(Common).json:
        raise click.UsageError("--json needs a command, for example: apftui status --json")
    if given["demo"] and context.ensure_object(Common).config is not None:
        raise click.UsageError("--demo has settings of its own: leave --config out")
    if headless and given["read_only"]:
        raise click.UsageError("--read-only is for the console: leave it out")
    for name in ("cycles", "log_format"):
        if given[name] and not headless:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --no-ui")


def _console(context: click.Context, common: Common, read_only: bool, terminal: bool) -> int:
    try:
        settings = settings_file(common)
    except Misplaced as missing:
        if not terminal or common.config is not None:
            raise
        return _offer(context, missing, read_only)
    if not terminal:
        raise click.UsageError(
            "the console needs a terminal; type apftui --no-ui to run the factory without one"
        )
    where = _attached(place(common), settings, read_only)
    if where is None:
        click.echo("nothing was started")
        return 0
    from apftui.console.app import run_console

    return run_console(where, read_only)


def _offer(context: click.Context, missing: Misplaced, read_only: bool) -> int:
    click.echo(f"{missing.format_message()}\n")
    click.echo("  demo  a factory to play with; it leaves nothing behind")
    click.echo("  init  write settings that run pilots on this machine")
    click.echo("  quit")
    said = click.prompt("What now?", type=click.Choice(["demo", "init", "quit"]), default="demo")
    if said == "demo":
        from apftui import demo

        return demo.run_console(read_only)
    if said == "init":
        from apftui.cli.init import init

        context.invoke(init)
    return 0


def _attached(where: Place, settings: Path, read_only: bool) -> Path | None:
    """Return the socket of a factory that answers; None if none runs and none was wanted."""
    from apftui.cli.background import start
    from apftui.cli.place import ask
    from core.api.client import NoFactory
    from core.api.models import Hello
    from core.state.lock import held

    try:
        ask(where, lambda factory: factory.get("/v1/hello", Hello))
        return where.socket
    except NoFactory as error:
        if refused(error):
            raise
    if read_only:
        raise Failed(f"no factory runs for {settings}, and --read-only starts none")
    if where.factory.started_by == "systemd" and not held(where.factory.state):
        raise Failed(
            f'no factory runs for {settings}, and [factory] started_by = "systemd" says who'
            " starts it: systemctl start apftui"
        )
    question = f"no factory runs for {settings}; start it in the background?"
    if not click.confirm(question, default=True):
        return None
    click.echo("starting …")
    return start(settings, where.factory)
