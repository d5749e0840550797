"""What the console asks the factory to change, and what it asks the operator before."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from apftui import effects
from apftui.console import format as words
from apftui.console.commands import Command
from apftui.console.question import PREVIEW_S, Answer, Question
from apftui.console.widgets.paint import Line
from apftui.stops import NOTHING, STOPS, ends
from core.api.client import Client
from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    Parameters,
    ParametersRequest,
    Preview,
    QueueStatus,
    ReloadResult,
    UndoRequest,
)

REASON = "reason, kept in the list of actions"
Changes = tuple[Change, ...]

_PAGE = 40
"""Queues in one answer."""


def question(command: Command, queues: Sequence[QueueStatus]) -> Question:
    """Return what is asked before `command` is done to `queues`."""
    if command.name == "reload":
        return Question(f"{command.help}?", "Reload", _reload, effect=command.effect)
    make = _MADE[command.name]
    verb = command.label.capitalize()

    async def wanted(factory: Client) -> Changes:
        return await make(factory, queues)

    async def do(factory: Client, answer: Answer) -> str:
        changes = await wanted(factory)
        if not changes:
            return NOTHING
        return await change(factory, changes, answer, f"{command.done} {_names(queues)}")

    one = words.STATES[queues[0].state]
    told = [("  ", ""), (f"{one.glyph} {one.word}", one.style)]
    return Question(
        title=f"{verb} {_names(queues)}?",
        verb=verb,
        do=do,
        about=(told,) if len(queues) == 1 else tuple([(f"  {q.name}", "")] for q in queues),
        effect=command.effect,
        reason=REASON,
        lasting=command.lasting,
        count=len(queues),
        preview=lambda factory: _preview(factory, wanted),
    )


async def change(factory: Client, changes: Changes, answer: Answer, done: str) -> str:
    """Make changes at the revisions that they name; return what it came to, in words."""
    request = ChangeRequest(changes=changes, why=answer.why, until=answer.until)
    return _said(await factory.post("/v1/changes", request, Action), done)


async def preview(factory: Client, changes: Changes) -> Preview:
    """Ask what the next pass would make of changes."""
    request = ChangeRequest(changes=changes)
    return await factory.post(f"/v1/preview?most={_PAGE}", request, Preview, deadline=PREVIEW_S)


async def parameters(
    factory: Client, queues: Sequence[str], *keys: str
) -> AsyncIterator[Parameters]:
    """Ask what can be set for queues, some at a time: to read many would hold up the keys."""
    for start in range(0, len(queues), _PAGE):
        asked = ParametersRequest(queues=tuple(queues[start : start + _PAGE]), keys=keys)
        yield await factory.post("/v1/parameters", asked, Parameters, deadline=PREVIEW_S)


async def undo(factory: Client, action: Action) -> Question:
    """Return what is asked before an action is undone.

    Raise Stale or NotFound if it cannot be.
    """
    asked = UndoRequest(action=action.id)

    async def look(factory: Client) -> Preview:
        return await factory.post(
            f"/v1/preview-undo?most={_PAGE}", asked, Preview, deadline=PREVIEW_S
        )

    told = await look(factory)
    why = f" ({action.why})" if action.why else ""

    async def do(factory: Client, answer: Answer) -> str:
        request = UndoRequest(action=action.id, why=answer.why)
        return _said(await factory.post("/v1/undo", request, Action), f"undone: {action.what}")

    return Question(
        title="Undo your last change?",
        verb="Undo",
        do=do,
        about=(
            [(f"  {words.moment(action.at)}  ", "dim"), (f"{action.what}{why}", "soft")],
            *_values(told),
        ),
        effect="What stood before is put back.",
        reason=REASON,
        preview=look,
    )


def last_own(actions: Sequence[Action], you: str) -> Action | None:
    """Return the newest of `actions`, newest first, that is your own and was not undone."""
    undone = {a.undoes for a in actions if a.state == "applied"}
    return next(
        (
            a
            for a in actions
            if a.by == you
            and a.state == "applied"
            and a.queues
            and a.undoes is None
            and a.id not in undone
        ),
        None,
    )


def _values(told: Preview) -> list[Line]:
    return [
        [(f"  {each.queue}  ", "strong"), (effects.change(value), "")]
        for each in told.queues
        for value in each.values
    ]


async def _pause(factory: Client, queues: Sequence[QueueStatus]) -> Changes:
    return _set("paused", queues)


async def _drain(factory: Client, queues: Sequence[QueueStatus]) -> Changes:
    return _set("drain", queues)


async def _resume(factory: Client, queues: Sequence[QueueStatus]) -> Changes:
    seen = {q.name: q.revision for q in queues}
    pages = parameters(factory, [*seen], *STOPS)
    return tuple([change async for page in pages for change in ends(page, seen)])


def _set(key: str, queues: Sequence[QueueStatus]) -> Changes:
    return tuple(Change(queue=q.name, key=key, value=True, revision=q.revision) for q in queues)


_MADE: dict[str, Callable[[Client, Sequence[QueueStatus]], Awaitable[Changes]]] = {
    "pause": _pause,
    "drain": _drain,
    "resume": _resume,
}


async def _preview(factory: Client, wanted: Callable[[Client], Awaitable[Changes]]) -> Preview:
    changes = await wanted(factory)
    return await preview(factory, changes) if changes else Preview(queues=())


async def _reload(factory: Client, answer: Answer) -> str:
    result = await factory.post("/v1/reload", None, ReloadResult, deadline=30)
    if not (result.added or result.changed or result.removed):
        return "settings read again: nothing changed"
    counts = ((result.added, "added"), (result.changed, "changed"), (result.removed, "removed"))
    told = [f"{words.count(len(names), 'queue')} {what}" for names, what in counts if names]
    return f"settings read again: {', '.join(told)}"


def _said(action: Action, done: str) -> str:
    if action.state == "applied":
        return f"{done} (action {action.id[:8]})"
    return f"{action.state}: {action.what}; {action.detail}"


def _names(queues: Sequence[QueueStatus]) -> str:
    return queues[0].name if len(queues) == 1 else words.count(len(queues), "queue")
