"""Calls about operators' changes: what can be set, what a change would do, the change, its undo."""

from collections.abc import Sequence

from anyio import to_thread
from pydantic import Field

from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    ParametersRequest,
    Preview,
    UndoRequest,
)
from core.api.route import Call, NoQuery, Route
from core.model.frozen import Frozen
from core.run.actions import action
from core.run.changes import Wanted
from core.run.preview import shortened
from core.settings.parameters import Parameters, parameters


class PreviewQuery(Frozen):
    """How many effects at most, those that change the number of pilots most."""

    most: int = Field(default=10_000, ge=0)


async def settable(call: Call) -> Parameters:
    """List what can be set for queues: value, layer, default, who overrode it, and the form."""
    body: ParametersRequest = call.body
    factory = call.factory
    running, base, overrides = factory.generation.settings, factory.base, factory.overrides
    # Manifests of wrappers are files; a hundred queues have thousands of parameters.
    return await to_thread.run_sync(
        parameters, running, base, overrides, body.queues, frozenset(body.keys)
    )


async def preview(call: Call) -> Preview:
    """Say what the next pass would decide with these changes, on what is known now."""
    body: ChangeRequest = call.body
    told = await call.factory.preview(
        _wanted(body.changes), by=str(call.peer), why=body.why, until=body.until
    )
    return shortened(told, call.query.most)


async def changes(call: Call) -> Action:
    """Set overrides, or take them away; all of them or none."""
    body: ChangeRequest = call.body
    done = await call.factory.change(
        _wanted(body.changes), by=str(call.peer), why=body.why, until=body.until
    )
    return action(done)


async def preview_undo(call: Call) -> Preview:
    """Say what the next pass would decide after this undo, on what is known now."""
    body: UndoRequest = call.body
    told = await call.factory.preview_undo(body.action, by=str(call.peer), why=body.why)
    return shortened(told, call.query.most)


async def undo(call: Call) -> Action:
    """Put back what stood before an action."""
    body: UndoRequest = call.body
    return action(await call.factory.undo(body.action, by=str(call.peer), why=body.why))


def _wanted(changes: Sequence[Change]) -> list[Wanted]:
    return [Wanted(c.queue, c.key, c.value, c.revision) for c in changes]


ROUTES = (
    Route("POST", "/v1/parameters", NoQuery, ParametersRequest, Parameters, settable),
    Route("POST", "/v1/preview", PreviewQuery, ChangeRequest, Preview, preview),
    Route("POST", "/v1/changes", NoQuery, ChangeRequest, Action, changes),
    Route("POST", "/v1/preview-undo", PreviewQuery, UndoRequest, Preview, preview_undo),
    Route("POST", "/v1/undo", NoQuery, UndoRequest, Action, undo),
)
