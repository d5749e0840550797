"""Options and arguments that several commands take."""

from __future__ import annotations

from typing import TypeVar

import click

from core.settings.duration import seconds

F = TypeVar("F")


def _duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """Read `90s`, `6m`, `2h`, `1d`."""
    if text is None:
        return None
    try:
        given = float(str(seconds(text)))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if given <= 0:
        raise click.BadParameter("must be longer than nothing")
    return given


why = click.option("--why", default="", metavar="TEXT", help="For those who come after you.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
lasting = click.option(
    "--for", "lasting", callback=_duration, metavar="2h", help="Taken back by itself after."
)
