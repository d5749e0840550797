"""`apftui explain`: why a queue did what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from apftui.cli import show
from apftui.cli.command import Command, Common
from apftui.cli.place import Place, ask, place

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import QueueDetail
    from core.run.explain import Explanation


@click.command(cls=Command, example="apftui explain BNL_PROD")
@click.argument("name", metavar="QUEUE")
@click.pass_obj
def explain(common: Common, name: str) -> None:
    """Explain the last decision of a queue.

    Numbers, steps, the limit that bound it, and what was submitted; while no factory runs, of
    the last decision on record.
    """
    told = _explanation(place(common), name)
    if common.json:
        show.as_json(told)
        return
    show.pairs(_head(told))
    if told.decision is not None and told.decision.steps:
        click.echo()
        show.steps(told.decision)
    if told.submissions:
        click.echo()
        show.table(
            ("SUBMISSION", "N", "STATE", "CLUSTER", "SCHEDD", "DETAIL"),
            (
                (s.submission, str(s.n), s.state, s.cluster or "?", s.schedd, s.detail)
                for s in told.submissions
            ),
            right=("N",),
        )


def _explanation(where: Place, name: str) -> Explanation:
    from core.api.client import NoFactory
    from core.api.models import QueueDetail
    from core.model.errors import NotFound
    from core.run.explain import explain_running, explain_stopped

    async def question(factory: Client) -> QueueDetail:
        return await factory.get("/v1/queue", QueueDetail, name=name, limit=1)

    try:
        detail = ask(where, question)
    except (NoFactory, NotFound):
        # Also of a queue that has left the running settings: the record still has it.
        return explain_stopped(where.factory.state, name)
    return explain_running(detail.status, detail.decisions, detail.intents)


def _head(told: Explanation) -> list[tuple[str, str]]:
    wms, batch = told.wms, told.batch
    head = [("queue", told.queue), ("state", told.state or "no factory runs"), ("why", told.why)]
    if told.cycle is not None:
        head.append(("decided", f"{show.age(told.age_s)} ago, pass {told.cycle}"))
    if wms is not None:
        head.append(
            (
                "wms",
                f"{show.number(wms.activated)} activated, {show.number(wms.running)} running,"
                f" status {wms.status or '?'}" + (f": {wms.problem}" if wms.problem else ""),
            )
        )
        if wms.note:
            head.append(("note", wms.note))
        if wms.other:
            head.append(("other", show.states(wms.other)))
    if batch is not None:
        head.append(
            (
                "batch",
                f"{show.number(batch.pending)} pending, {show.number(batch.held)} held,"
                f" {show.number(batch.running)} running, {batch.in_flight} in flight"
                + (f": {batch.problem}" if batch.problem else ""),
            )
        )
        if batch.hold_reason:
            head.append(("held", batch.hold_reason))
    if told.decision is not None:
        head.append(("limit", told.decision.bound_by or "none"))
        head.append(
            ("submitted", f"{told.submitted} of {show.count(told.decision.submit, 'pilot')}")
        )
    return head
