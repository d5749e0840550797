"""`apftui queue …`: queues of the running factory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from apftui.cli import show
from apftui.cli.command import Common, Group
from apftui.cli.place import ask, place
from apftui.stops import ends
from core.settings.duration import seconds

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import Action, Change, QueueDetail


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
_lasting = click.option(
    "--for", "lasting", callback=_duration, metavar="2h", help="Resume by itself after."
)


@click.group(cls=Group, example="apftui queue pause BNL_PROD --why 'site asked' --for 2h")
def queue() -> None:
    """List, show, pause, drain and resume queues."""


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
@_lasting
@click.pass_obj
def pause(common: Common, queues: tuple[str, ...], why: str, lasting: float | None) -> None:
    """Pause queues: nothing more is submitted.

    Until they are resumed. Their pilots go on.
    """
    _stop(common, queues, "paused", why, lasting)


@queue.command(example="apftui queue drain BNL_PROD --why 'the site closes on Friday'")
@_names
@_why
@_lasting
@click.pass_obj
def drain(common: Common, queues: tuple[str, ...], why: str, lasting: float | None) -> None:
    """Drain queues: no new pilots, and none is ended.

    They say draining while pilots are left, and then drained, until they are resumed.
    """
    _stop(common, queues, "drain", why, lasting)


@queue.command(example="apftui queue resume BNL_PROD")
@_names
@_why
@click.pass_obj
def resume(common: Common, queues: tuple[str, ...], why: str) -> None:
    """Resume queues: end a pause or a drain.

    Also those that a settings file asks for.
    """

    async def question(factory: Client) -> Action | None:
        done = None
        for _ in range(2):  # below an operator's pause there may be one of the settings
            details = [await _detail(factory, name) for name in dict.fromkeys(queues)]
            wanted = [each for d in details for each in ends(d, d.status.revision)]
            if not wanted:
                break
            done = await _change(factory, wanted, why, None)
        return done

    done = ask(place(common), question)
    if done is not None or common.json:
        _tell(common, done)
    else:
        click.echo("nothing to resume: neither paused nor draining")


def _stop(
    common: Common, queues: tuple[str, ...], key: str, why: str, lasting: float | None
) -> None:
    async def question(factory: Client) -> Action:
        from core.api.models import Change

        seen = [(await _detail(factory, name)).status for name in dict.fromkeys(queues)]
        until = None if lasting is None else time.time() + lasting
        wanted = [Change(queue=q.name, key=key, value=True, revision=q.revision) for q in seen]
        return await _change(factory, wanted, why, until)

    _tell(common, ask(place(common), question))


async def _detail(factory: Client, name: str) -> QueueDetail:
    from core.api.models import QueueDetail

    return await factory.get("/v1/queue", QueueDetail, name=name)


async def _change(factory: Client, wanted: list[Change], why: str, until: float | None) -> Action:
    from core.api.models import Action, ChangeRequest

    request = ChangeRequest(changes=tuple(wanted), why=why, until=until)
    return await factory.post("/v1/changes", request, Action)


def _tell(common: Common, done: Action | None) -> None:
    if common.json or done is None:
        show.as_json(done)
    else:
        click.echo(f"{done.what}: {done.state}")


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
