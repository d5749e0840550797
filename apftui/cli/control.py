"""`apftui reload` and `apftui stop`."""

import time

import click

from apftui.cli import show
from apftui.cli.command import Command, Common, Failed
from apftui.cli.place import Place, ask, place

_STOP_S = 300.0
"""Submissions in flight have deadlines; they add up to less."""


@click.command(cls=Command, example="apftui reload")
@click.pass_obj
def reload(common: Common) -> None:
    """Let the factory read its settings again.

    Bad ones change nothing: those of before go on.
    """
    from core.api.client import Client
    from core.api.models import ReloadResult

    async def question(factory: Client) -> ReloadResult:
        return await factory.post("/v1/reload", None, ReloadResult, deadline=60)

    done = ask(place(common), question)
    if common.json:
        show.as_json(done)
        return
    named = ((done.added, "added"), (done.changed, "changed"), (done.removed, "removed"))
    told = [f"{what} {', '.join(names)}" for names, what in named if names]
    click.echo(f"settings read again: {'; '.join(told) or 'no queue changed'}")


@click.command(cls=Command, example="apftui stop\napftui stop --remove-pilots")
@click.option("--remove-pilots", is_flag=True, help="Remove its pilots from the batch systems too.")
@click.pass_obj
def stop(common: Common, remove_pilots: bool) -> None:
    """Stop the factory; its pilots go on.

    Submissions in flight are waited for.
    """
    from core.api.client import Client
    from core.api.models import Hello, StopRequest

    async def question(factory: Client) -> Hello:
        return await factory.post("/v1/stop", StopRequest(remove_pilots=remove_pilots), Hello)

    where = place(common)
    asked = time.time()
    told = ask(where, question)
    _wait_until_gone(where, told.pid)
    left = _not_removed(where, asked) if remove_pilots else ""
    removed = remove_pilots and not left
    if common.json:
        show.as_json({"stopped": told.name, "pid": told.pid, "pilots_removed": removed})
    else:
        pilots = "removed" if removed else "not all removed" if remove_pilots else "go on"
        verb = "are " if remove_pilots else ""
        click.echo(f"factory {told.name} (pid {told.pid}) has stopped; its pilots {verb}{pilots}")
    if left:
        raise Failed(left)


def _not_removed(where: Place, asked: float) -> str:
    """Return what the factory left on record about pilots that it could not remove."""
    from core.run.changes import REMOVAL
    from core.run.on_disk import ledger

    with ledger(where.factory.state) as reader:
        actions = reader.actions(100) if reader else []
    action = next((a for a in actions if a["what"] == REMOVAL and a["at"] >= asked), None)
    if action is None:
        return f"whether its pilots are removed is not on record in {where.factory.state}"
    return "" if action["state"] == "applied" else action["detail"] or "the factory broke off"


def _wait_until_gone(where: Place, pid: int) -> None:
    from core.api.socket import listens
    from core.state.lock import held

    end = time.monotonic() + _STOP_S
    # A factory that was killed leaves its socket, and nobody listens on it.
    while listens(where.socket) or held(where.factory.state):
        if time.monotonic() > end:
            raise Failed(
                f"the factory with pid {pid} was told to stop and still runs;"
                " see its log: a submission may be in flight"
            )
        time.sleep(0.05)
