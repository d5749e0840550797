"""What the console asks the factory to change."""

from collections.abc import Awaitable, Callable, Sequence

from apftui.console import format as words
from core.api.client import Client
from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    QueueDetail,
    QueueStatus,
    ReloadResult,
)

OVERRIDE = "override"
"""Layer of a value that an operator set."""

Done = Callable[[Client, Sequence[QueueStatus], str], Awaitable[str]]


async def pause(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Pause `queues` at the revisions that were seen. Return what was done, in words."""
    changes = [Change(queue=q.name, key="paused", value=True, revision=q.revision) for q in queues]
    return await _change(factory, changes, why, f"paused {_names(queues)}")


async def resume(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Take the operators' pause away; against one that a settings file asks for, set False."""
    changes = [
        Change(
            queue=q.name,
            key="paused",
            value=False if await _paused_by(factory, q.name) not in ("", OVERRIDE) else None,
            revision=q.revision,
        )
        for q in queues
    ]
    said = await _change(factory, changes, why, f"resumed {_names(queues)}")
    # Below the override there may have been a file that says the same.
    still = [(q.name, by) for q in queues if (by := await _paused_by(factory, q.name))]
    if not still:
        return said
    name, layer = still[0]
    return f"{name} is still paused by its settings ({layer}); resume once more to override them"


async def reload(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Let the factory read its settings again."""
    result = await factory.post("/v1/reload", None, ReloadResult, deadline=30)
    if not (result.added or result.changed or result.removed):
        return "settings read again: nothing changed"
    counts = ((result.added, "added"), (result.changed, "changed"), (result.removed, "removed"))
    told = [f"{words.count(len(names), 'queue')} {what}" for names, what in counts if names]
    return f"settings read again: {', '.join(told)}"


DONE: dict[str, Done] = {"pause": pause, "resume": resume, "reload": reload}


async def _change(factory: Client, changes: Sequence[Change], why: str, done: str) -> str:
    request = ChangeRequest(changes=tuple(changes), why=why)
    action = await factory.post("/v1/changes", request, Action)
    return (
        f"{done} (action {action.id[:8]})"
        if action.state == "applied"
        else (f"{action.state}: {action.what}; {action.detail}")
    )


async def _paused_by(factory: Client, name: str) -> str:
    """Return the layer that pauses the queue, or nothing."""
    detail = await factory.get("/v1/queue", QueueDetail, name=name)
    return next((v.layer for v in detail.settings if v.key == "paused" and v.value is True), "")


def _names(queues: Sequence[QueueStatus]) -> str:
    return queues[0].name if len(queues) == 1 else words.count(len(queues), "queue")
