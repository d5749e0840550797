"""`apftui decide`: a queue's chain on given numbers."""

from __future__ import annotations

import click

from apftui.cli import show
from apftui.cli.command import Command, Common
from apftui.cli.place import effective, settings_file

_number = click.IntRange(min=0)


@click.command(
    cls=Command, example="apftui decide BNL_PROD --activated 100 --pending 10 --running 8"
)
@click.argument("queue")
@click.option("--activated", type=_number, metavar="R", help="Payload jobs ready to be fetched.")
@click.option("--pending", type=_number, metavar="P", help="Pilots waiting.")
@click.option("--running", type=_number, metavar="U", help="Pilots running.")
@click.option("--held", type=_number, metavar="H", default=0, help="Pilots on hold; else none.")
@click.option(
    "--status",
    type=click.Choice(["online", "test", "offline", "brokeroff"]),
    default="online",
    help="The queue's status in the WMS; else online.",
)
@click.option("--wms-running", type=_number, metavar="N", help="Payload jobs being run.")
@click.pass_obj
def decide(
    common: Common,
    queue: str,
    activated: int | None,
    pending: int | None,
    running: int | None,
    held: int,
    status: str,
    wms_running: int | None,
) -> None:
    """Run a queue's chain on given numbers.

    No source is asked, no factory needed. A number that is not given is unknown, and a chain that
    needs it is blind.
    """
    from core.decision.chain import Link, max_submit
    from core.decision.queues import Due, decide_all
    from core.model.errors import NotFound
    from core.model.facts import BatchFacts, Facts, Totals, WmsFacts
    from core.model.text import clean
    from core.settings.registry import plugin_class
    from core.settings.suggest import did_you_mean

    settings = effective(settings_file(common))
    if queue not in settings.queues:
        cure = did_you_mean(queue, settings.queues, "queues")
        raise NotFound(f"there is no queue {clean(queue, 200)}", cure)
    asked = settings.queues[queue]
    chain = tuple(
        Link(link.plugin, plugin_class("sched", link.plugin)(), link.params) for link in asked.chain
    )
    facts = Facts(
        wms=WmsFacts(
            activated=activated, running=wms_running, status=status, problem="no number was given"
        ),
        batch=BatchFacts(pending=pending, held=held, running=running),
    )
    bound = max_submit(settings.factory.max_submit)
    due = Due(queue, chain, facts, bound, compat=asked.apf_compat)
    decided = next(decide_all([due], Totals())).decision
    if common.json:
        show.as_json(decided)
    else:
        show.decision(decided)
