"""`apftui queue …`: queues of the running factory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from apftui.cli import show
from apftui.cli.command import Common, Group
from apftui.cli.place import ask, place
from core.settings.duration import seconds

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import Action, QueueDetail, QueueStatus


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


_names = click.argument("queues", metavar="QUEUE...", nargs=-1, required=True)
_why = click.option("--why", default="", metavar="TEXT", help="For those who come after you.")


@click.group(cls=Group, example="apftui queue pause BNL_PROD --why 'site asked' --for 2h")
def queue() -> None:
    """List, show, pause and resume queues."""


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
            (q.name, q.state, q.wms_name or "-", q.batch_name, q.wrapper, why(q.decision, q))
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
            ("revision", queue.revision or "-"),
        ]
    )
    click.echo()
    show.table(
        ("SETTING", "VALUE", "LAYER", "WHERE"),
        ((v.key, _value(v.value), v.layer, v.where) for v in told.settings),
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
@_why
@click.option("--for", "lasting", callback=_duration, metavar="2h", help="Resume by itself after.")
@click.pass_obj
def pause(common: Common, queues: tuple[str, ...], why: str, lasting: float | None) -> None:
    """Pause queues: nothing more is submitted.

    Until they are resumed. Their pilots go on.
    """

    async def question(factory: Client) -> Action:
        seen = [(await _detail(factory, name)).status for name in dict.fromkeys(queues)]
        until = None if lasting is None else time.time() + lasting
        return await _change(factory, [(q, True) for q in seen], why, until)

    _tell(common, ask(place(common), question))


@queue.command(example="apftui queue resume BNL_PROD")
@_names
@_why
@click.pass_obj
def resume(common: Common, queues: tuple[str, ...], why: str) -> None:
    """Resume queues, also those that the file pauses."""

    async def question(factory: Client) -> Action | None:
        done = None
        for _ in range(2):  # below an operator's pause there may be one of the settings
            details = [await _detail(factory, name) for name in dict.fromkeys(queues)]
            wanted = [
                (d.status, None if by == "override" else False)
                for d in details
                if (by := _paused_by(d))
            ]
            if not wanted:
                break
            done = await _change(factory, wanted, why, None)
        return done

    done = ask(place(common), question)
    if done is not None or common.json:
        _tell(common, done)
    else:
        click.echo("nothing to resume: not paused")


def _paused_by(detail: QueueDetail) -> str | None:
    """Return the layer that pauses a queue, None if none does."""
    return next((v.layer for v in detail.settings if v.key == "paused" and v.value is True), None)


async def _detail(factory: Client, name: str) -> QueueDetail:
    from core.api.models import QueueDetail

    return await factory.get("/v1/queue", QueueDetail, name=name)


async def _change(
    factory: Client,
    wanted: list[tuple[QueueStatus, bool | None]],
    why: str,
    until: float | None,
) -> Action:
    from core.api.models import Action, Change, ChangeRequest

    changes = tuple(
        Change(queue=q.name, key="paused", value=value, revision=q.revision) for q, value in wanted
    )
    return await factory.post(
        "/v1/changes", ChangeRequest(changes=changes, why=why, until=until), Action
    )


def _tell(common: Common, done: Action | None) -> None:
    if common.json or done is None:
        show.as_json(done)
    else:
        click.echo(f"{done.what}: {done.state}")


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
