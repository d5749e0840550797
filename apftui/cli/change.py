"""How every change goes: what the next pass will make of it is told, then it is made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from apftui import effects
from apftui.cli import show
from apftui.cli.command import Common

if TYPE_CHECKING:
    from core.api.client import Client
    from core.api.models import (
        Action,
        Change,
        ChangeRequest,
        Parameters,
        Preview,
        UndoRequest,
    )

PREVIEW_S = 30.0
"""A step that hangs is waited for twice: with the settings as they are, and as they would be."""
_OTHERS = 10


class Wish(NamedTuple):
    """What all changes have besides themselves."""

    common: Common
    why: str
    lasting: float | None = None
    dry_run: bool = False


async def parameters(factory: Client, queues: Sequence[str], *keys: str) -> Parameters:
    """Ask what can be set for queues."""
    from core.api.models import Parameters, ParametersRequest

    asked = ParametersRequest(queues=tuple(queues), keys=keys)
    return await factory.post("/v1/parameters", asked, Parameters, deadline=PREVIEW_S)


async def change(factory: Client, changes: Sequence[Change], wish: Wish) -> None:
    """Make changes at the revisions that they name, all or none."""
    from core.api.models import ChangeRequest

    until = None if wish.lasting is None else time.time() + wish.lasting
    request = ChangeRequest(changes=tuple(changes), why=wish.why, until=until)
    await _carry_out(factory, "/v1/preview", "/v1/changes", request, wish)


async def undo(factory: Client, action: str, wish: Wish) -> None:
    """Put back what stood before an action."""
    from core.api.models import UndoRequest

    request = UndoRequest(action=action, why=wish.why)
    await _carry_out(factory, "/v1/preview-undo", "/v1/undo", request, wish)


async def _carry_out(
    factory: Client,
    preview_path: str,
    path: str,
    request: ChangeRequest | UndoRequest,
    wish: Wish,
) -> None:
    from core.api.models import Action, Preview

    preview = await factory.post(preview_path, request, Preview, deadline=PREVIEW_S)
    if not wish.common.json:
        _tell(preview)
    action = None if wish.dry_run else await factory.post(path, request, Action)
    if wish.common.json:
        show.as_json({"preview": preview, "action": action})
    elif action is None:
        click.echo("nothing was changed: --dry-run")
    else:
        _done(action)


def _tell(preview: Preview) -> None:
    for each in preview.queues:
        for value in each.values:
            show.line(f"{each.queue}: {effects.change(value)}")
        show.line(f"{each.queue}: next pass: {effects.effect(each)}")
    for each in preview.others[:_OTHERS]:
        show.line(f"{each.queue}, through the totals: {effects.effect(each)}")
    if len(preview.others) > _OTHERS:
        show.line(f"and {len(preview.others) - _OTHERS} more queues, through the totals")


def _done(action: Action) -> None:
    detail = f": {action.detail}" if action.detail else ""
    show.line(f"{action.what}: {action.state}{detail}")
    if action.state == "applied":
        show.line(f"take it back with: apftui undo {action.id[:8]}")
