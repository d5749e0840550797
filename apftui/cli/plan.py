"""`apftui plan`: what the next pass would decide."""

from __future__ import annotations

import click

from apftui.cli import show
from apftui.cli.command import Command, Common
from apftui.cli.place import settings_file


@click.command(cls=Command, example="apftui plan\napftui plan --submit-file BNL_PROD")
@click.option(
    "--submit-file",
    "name",
    metavar="QUEUE",
    help="Print exactly what would be handed to the batch system for this queue.",
)
@click.pass_obj
def plan(common: Common, name: str | None) -> None:
    """Show what a pass would decide now.

    All sources are asked; nothing is submitted, nothing is written.
    """
    import anyio

    from core.run.plan import Plan
    from core.settings.load import read_layers

    made = Plan(read_layers(settings_file(common)))
    if name is None:
        decisions = anyio.run(made.decide)
        if common.json:
            show.as_json(decisions)
        else:
            for number, each in enumerate(decisions):
                if number:
                    click.echo()
                show.decision(each)
        return

    async def described(queue: str) -> str:
        decisions = {d.queue: d for d in await made.decide()}
        return await made.describe(decisions[queue])

    text = anyio.run(described, made.queue(name).name)
    if common.json:
        show.as_json({"queue": name, "submit_file": text})
    else:
        click.echo(text, nl=not text.endswith("\n"))
