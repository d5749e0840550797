"""`apftui intent …`: submissions, and the word of an operator where no schedd answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from apftui.cli import options, show
from apftui.cli.command import Common, Group
from apftui.cli.place import ask, place

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import Intent
    from core.state.ledger import LedgerReader

_SHOWN = 100


@click.group(cls=Group, example="apftui intent list --unresolved")
def intent() -> None:
    """What was submitted, and what became of it."""


@intent.command("list", example="apftui intent list --unresolved --json")
@click.option("--unresolved", is_flag=True, help="Only those whose outcome is not known.")
@click.pass_obj
def list_(common: Common, unresolved: bool) -> None:
    """List submissions, newest first.

    Also while no factory runs.
    """
    from core.api.client import NoFactory
    from core.run.on_disk import ledger

    where = place(common)
    try:
        found = ask(where, lambda factory: _intents(factory, unresolved))
    except NoFactory:
        with ledger(where.factory.state) as reader:
            found = _read(reader, unresolved)
    if common.json:
        show.as_json(found)
        return
    show.table(
        ("SUBMISSION", "QUEUE", "N", "STATE", "AGE", "CLUSTER", "SCHEDD", "DETAIL"),
        (
            (
                i.submission,
                i.queue,
                str(i.n),
                i.state,
                show.age(time.time() - i.at),
                i.cluster or "?",
                i.schedd,
                i.detail,
            )
            for i in found
        ),
        right=("N", "AGE"),
    )


@intent.command(
    example="apftui intent resolve 0b6c…-… absent --why 'schedd01 was scrapped with its disk'"
)
@click.argument("submission")
@click.argument("outcome", type=click.Choice(["absent", "confirmed"]))
@click.option("--why", required=True, callback=options.reason, metavar="TEXT", help="How you know.")
@click.pass_obj
def resolve(common: Common, submission: str, outcome: str, why: str) -> None:
    """Say what became of an unresolved submission.

    For a schedd that never answers again. absent: it has none of these pilots and never will;
    confirmed: it has all of them. The factory takes your word: if it is wrong, pilots are doubled
    or forgotten.
    """
    from core.api.models import Intent, ResolveRequest

    if not why.strip():
        raise click.BadParameter("say how you know", param_hint="--why")

    async def question(factory: Client) -> Intent:
        wanted = ResolveRequest.model_validate(
            {"submission": submission, "state": outcome, "why": why}
        )
        return await factory.post("/v1/resolve", wanted, Intent)

    done = ask(place(common), question)
    if common.json:
        show.as_json(done)
    else:
        click.echo(f"submission {done.submission}: {done.detail}")


async def _intents(factory: Client, unresolved: bool) -> tuple[Intent, ...]:
    from pydantic import RootModel

    from core.api.models import Intent

    answer = await factory.get(
        "/v1/intents",
        RootModel[tuple[Intent, ...]],
        unresolved=str(unresolved).lower(),
        limit=_SHOWN,
    )
    return answer.root


def _read(reader: LedgerReader | None, unresolved: bool) -> tuple[Intent, ...]:
    if reader is None:
        return ()
    return tuple(reader.unresolved() if unresolved else reader.newest(_SHOWN))
