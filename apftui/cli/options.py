"""Options and arguments that several commands take."""

from __future__ import annotations

import click

from core.settings.duration import seconds

_LONGEST = 500


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


def reason(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """Refuse what the ledger would: it keeps a line, not a report."""
    if len(text) > _LONGEST:
        raise click.BadParameter(f"{len(text)} characters: say it in {_LONGEST}")
    return text


why = click.option(
    "--why", default="", callback=reason, metavar="TEXT", help="For those who come after you."
)
dry_run = click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
lasting = click.option(
    "--for", "lasting", callback=_duration, metavar="2h", help="Taken back by itself after."
)
