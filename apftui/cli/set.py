"""`apftui queue set` and `apftui queue unset`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apftui import values
from apftui.cli import change, options
from apftui.cli.change import Wish
from apftui.cli.command import Command, Common
from apftui.cli.place import ask, place
from core.model.errors import SettingsError
from core.settings.keys import split

if TYPE_CHECKING:
    from core.api.client import Client


def _assignments(
    context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    return tuple(_assignment(text) for text in texts)


def _assignment(text: str) -> tuple[str, str]:
    """Part KEY=VALUE; a quoted part of the key may have an = in it."""
    for at, char in enumerate(text):
        key = text[:at].strip()
        if char == "=" and _is_key(key):
            return key, text[at + 1 :]
    raise click.BadParameter(f"{text!r}: write it as in sched.max-pending.maximum=50")


def _is_key(text: str) -> bool:
    try:
        split(text)
    except SettingsError:
        return False
    return True


@click.command(
    "set",
    cls=Command,
    example="apftui queue set BNL_PROD sched.max-pending.maximum=50 --why 'SE is back'",
)
@click.argument("name", metavar="QUEUE")
@click.argument("wanted", metavar="KEY=VALUE...", callback=_assignments, nargs=-1, required=True)
@options.why
@options.lasting
@options.dry_run
@click.pass_obj
def set_(
    common: Common,
    name: str,
    wanted: tuple[tuple[str, str], ...],
    why: str,
    lasting: float | None,
    dry_run: bool,
) -> None:
    """Put other values over a queue's settings.

    VALUE is as in the settings file: 50, true, '["a", "b"]', "text"; text needs no quotes. The
    keys are those of `apftui queue show`. Says what the next pass will make of it, then does it.
    """
    from core.api.models import Change

    async def question(factory: Client) -> None:
        told = await change.parameters(factory, [name])
        (now,) = told.queues
        forms = {p.key: told.forms[p.form] for p in now.values}
        free = {table: told.forms[number] for table, number in told.free.items()}
        changes = [
            Change(
                queue=name,
                key=key,
                value=values.parse(text, forms.get(key) or free.get(split(key)[0], {})),
                revision=now.revision,
            )
            for key, text in wanted
        ]
        await change.change(factory, changes, Wish(common, why, lasting, dry_run))

    ask(place(common), question)


@click.command(cls=Command, example="apftui queue unset BNL_PROD sched.max-pending.maximum")
@click.argument("name", metavar="QUEUE")
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@options.why
@options.dry_run
@click.pass_obj
def unset(common: Common, name: str, keys: tuple[str, ...], why: str, dry_run: bool) -> None:
    """Take operators' values away: the settings count again.

    Says what the next pass will make of it, then does it.
    """
    from core.api.models import Change

    async def question(factory: Client) -> None:
        (now,) = (await change.parameters(factory, [name], *keys)).queues
        changes = [Change(queue=name, key=key, revision=now.revision) for key in keys]
        await change.change(factory, changes, Wish(common, why, dry_run=dry_run))

    ask(place(common), question)
