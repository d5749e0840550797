"""`apftui status`: the running factory and its queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apftui.cli import show
from apftui.cli.command import Command, Common
from apftui.cli.place import ask, place

if TYPE_CHECKING:
    from core.api.models import FactoryStatus, SourceStatus


@click.command(cls=Command, example="apftui status --json")
@click.pass_obj
def status(common: Common) -> None:
    """Show the running factory and all queues."""
    from core.api.client import Client
    from core.api.models import Status

    async def question(factory: Client) -> Status:
        return await factory.get("/v1/status", Status)

    answer = ask(place(common), question)
    if common.json:
        show.as_json(answer)
        return
    factory = answer.factory
    stopping = ", stopping" if factory.stopping else ""
    show.pairs(
        [
            ("factory", f"{factory.name}, pid {factory.pid}, {factory.started_by}{stopping}"),
            ("settings", factory.config),
            ("pass", _pass(factory)),
            *((s.kind, f"{s.name} ({s.plugin}): {_source(s)}") for s in factory.sources),
            *(("ALARM", alarm) for alarm in factory.alarms),
            *(("set aside", f"{o.queue}: {o.key}: {o.problem}") for o in factory.orphans),
        ]
    )
    if factory.unresolved:
        click.echo(f"{show.count(factory.unresolved, 'submission')} unresolved: apftui intent list")
    click.echo()
    numbers = ("ACTIVATED", "PENDING", "RUNNING", "HELD", "DONE/h", "FAIL/h", "LAST", "AGE")
    show.table(
        ("QUEUE", "STATE", *numbers, "BOUND BY", "REASON"),
        (
            (
                q.name,
                q.state,
                show.number(q.activated),
                show.number(q.pending),
                show.number(q.running),
                show.number(q.held),
                show.number(q.done),
                show.number(q.failed),
                show.last(q.decision),
                show.age(q.batch.age_s),
                (q.decision.bound_by or "-") if q.decision else "-",
                q.reason,
            )
            for q in answer.queues
        ),
        right=numbers,
    )


def _pass(factory: FactoryStatus) -> str:
    if factory.last_pass_age_s is None:
        return "none since the start"
    return f"{factory.cycle}, {show.age(factory.last_pass_age_s)} ago"


def _source(source: SourceStatus) -> str:
    age = f", {show.age(source.age_s)} old" if source.age_s is not None else ""
    problem = f": {source.problem}" if source.problem else ""
    return f"{source.state}{age}{problem}"
