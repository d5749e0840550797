"""`apftui actions` and `apftui undo`: what operators did, and taking it back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from apftui.cli import change, options, show
from apftui.cli.change import Wish
from apftui.cli.command import Command, Common
from apftui.cli.place import ask, place

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import Action


@click.command(cls=Command, example="apftui actions --limit 20")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, metavar="N", help="How many; else 100."
)
@click.pass_obj
def actions(common: Common, limit: int) -> None:
    """List what operators did, newest first.

    Who, what, why and until when; also while no factory runs.
    """
    from core.api.client import NoFactory
    from core.run.actions import action
    from core.run.on_disk import ledger

    where = place(common)
    try:
        found = ask(where, lambda factory: _actions(factory, limit))
    except NoFactory:
        with ledger(where.factory.state) as reader:
            found = tuple(action(row) for row in reader.actions(limit)) if reader else ()
    if common.json:
        show.as_json(found)
        return
    show.table(
        ("ACTION", "AGE", "BY", "STATE", "WHAT", "WHY", "FOR"),
        (
            (
                a.id[:8],
                show.age(time.time() - a.at),
                a.by,
                a.state,
                f"{a.what}; {a.detail}" if a.detail else a.what,
                a.why,
                "" if a.until is None else show.age(a.until - a.at),
            )
            for a in found
        ),
        right=("AGE",),
    )


@click.command(cls=Command, example="apftui undo 3f2a9c1e --why 'wrong queue'")
@click.argument("action")
@options.why
@options.dry_run
@click.pass_obj
def undo(common: Common, action: str, why: str, dry_run: bool) -> None:
    """Put back what stood before an action.

    Refused if somebody has changed it since. `apftui actions` lists actions.
    """

    async def question(factory: Client) -> None:
        await change.undo(factory, action, Wish(common, why, dry_run=dry_run))

    ask(place(common), question)


async def _actions(factory: Client, limit: int) -> tuple[Action, ...]:
    from pydantic import RootModel

    from core.api.models import Action

    answer = await factory.get("/v1/actions", RootModel[tuple[Action, ...]], limit=limit)
    return answer.root
