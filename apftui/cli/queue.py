"""`apftui queue …`: queues of the running factory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from apftui.cli import change, options, show
from apftui.cli.change import Wish
from apftui.cli.command import Common, Group
from apftui.cli.place import ask, place
from apftui.stops import NOTHING, STOPS, ends
from apftui.values import shown

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import QueueDetail


_names = click.argument("queues", metavar="QUEUE...", nargs=-1, required=True)


@click.group(cls=Group, example="apftui queue pause BNL_PROD --why 'site asked' --for 2h")
def queue() -> None:
    """List, show, set, pause, drain and resume queues."""


@queue.command("list", example="apftui queue list --json")
@click.pass_obj
def list_(common: Common) -> None:
    """List all queues: state, place, and why."""
    from core.api.models import Status
    from core.run.explain import why

    async def question(factory: Client) -> Status:
        return await factory.get("/v1/status", Status)

    queues = ask(place(common), question).queues
    if common.json:
        show.as_json(queues)
        return
    show.table(
        ("QUEUE", "STATE", "WMS", "BATCH", "WRAPPER", "WHY"),
        (
            (
                q.name,
                q.state,
                q.wms_name or "-",
                q.batch_name,
                show.wrapper(q),
                why(q.decision, q),
            )
            for q in queues
        ),
    )


@queue.command("show", example="apftui queue show BNL_PROD")
@click.argument("name", metavar="QUEUE")
@click.pass_obj
def show_(common: Common, name: str) -> None:
    """Show one queue: numbers, settings, actions.

    Each setting with the layer that it comes from.
    """
    from core.run.explain import why

    async def question(factory: Client) -> QueueDetail:
        return await _detail(factory, name)

    told = ask(place(common), question)
    if common.json:
        show.as_json(told)
        return
    queue = told.status
    show.pairs(
        [
            ("queue", queue.name),
            ("state", queue.state),
            ("why", why(queue.decision, queue)),
            ("activated", show.number(queue.activated)),
            ("pending", show.number(queue.pending)),
            ("running", show.number(queue.running)),
            ("held", show.number(queue.held)),
            ("wrapper", f"{show.wrapper(queue)}  {queue.wrapper_sha}"),
            ("revision", queue.revision or "-"),
        ]
    )
    click.echo()
    show.table(
        ("SETTING", "VALUE", "LAYER", "WHERE"),
        ((v.key, shown(v.value), v.layer, v.where) for v in told.settings),
    )
    if told.actions:
        click.echo()
        show.table(
            ("DONE", "BY", "WHAT", "WHY"),
            (
                (f"{show.age(time.time() - a.at)} ago", a.by, a.what, a.why)
                for a in told.actions[:10]
            ),
        )


@queue.command(example="apftui queue pause BNL_PROD TOKYO --why 'storage is down' --for 2h")
@_names
@options.why
@options.lasting
@options.dry_run
@click.pass_obj
def pause(
    common: Common, queues: tuple[str, ...], why: str, lasting: float | None, dry_run: bool
) -> None:
    """Pause queues: nothing more is submitted.

    Until they are resumed. Their pilots go on.
    """
    _stop(queues, "paused", Wish(common, why, lasting, dry_run))


@queue.command(example="apftui queue drain BNL_PROD --why 'the site closes on Friday'")
@_names
@options.why
@options.lasting
@options.dry_run
@click.pass_obj
def drain(
    common: Common, queues: tuple[str, ...], why: str, lasting: float | None, dry_run: bool
) -> None:
    """Drain queues: no new pilots, and none is ended.

    They say draining while pilots are left, and then drained, until they are resumed.
    """
    _stop(queues, "drain", Wish(common, why, lasting, dry_run))


@queue.command(example="apftui queue resume BNL_PROD")
@_names
@options.why
@options.dry_run
@click.pass_obj
def resume(common: Common, queues: tuple[str, ...], why: str, dry_run: bool) -> None:
    """Resume queues: end a pause or a drain.

    Also those that a settings file asks for.
    """

    async def question(factory: Client) -> None:
        told = await change.parameters(factory, queues, *STOPS)
        changes = ends(told, {q.name: q.revision for q in told.queues})
        if changes:
            await change.change(factory, changes, Wish(common, why, dry_run=dry_run))
        elif common.json:
            show.as_json({"preview": None, "action": None})
        else:
            click.echo(NOTHING)

    ask(place(common), question)


def _stop(queues: Sequence[str], key: str, wish: Wish) -> None:
    from core.api.models import Change

    async def question(factory: Client) -> None:
        told = await change.parameters(factory, queues, key)
        changes = [
            Change(queue=q.name, key=key, value=True, revision=q.revision) for q in told.queues
        ]
        await change.change(factory, changes, wish)

    ask(place(wish.common), question)


async def _detail(factory: Client, name: str) -> QueueDetail:
    from core.api.models import QueueDetail

    return await factory.get("/v1/queue", QueueDetail, name=name)
