"""What the console asks the factory to change."""

from collections.abc import Awaitable, Callable, Sequence

from apftui.console import format as words
from apftui.stops import STOPS, ends, stops
from core.api.client import Client
from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    QueueDetail,
    QueueStatus,
    ReloadResult,
)

Done = Callable[[Client, Sequence[QueueStatus], str], Awaitable[str]]


async def pause(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Pause `queues` at the revisions that were seen. Return what was done, in words."""
    return await _set(factory, queues, "paused", why, f"paused {_names(queues)}")


async def drain(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Let `queues` run empty. Return what was done, in words."""
    return await _set(factory, queues, "drain", why, f"draining {_names(queues)}")


async def resume(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """End pauses and drains, those that a settings file asks for by an override."""
    seen = [(q, await _detail(factory, q.name)) for q in queues]
    changes = [change for q, detail in seen for change in ends(detail, q.revision)]
    if not changes:
        return "nothing to resume: neither paused nor draining"
    said = await _change(factory, changes, why, f"resumed {_names(queues)}")
    # Below the override there may have been a file that says the same.
    for q in queues:
        for key, layer in stops(await _detail(factory, q.name)).items():
            return (
                f"{q.name} is still {STOPS[key]} by its settings ({layer});"
                " resume once more to override them"
            )
    return said


async def reload(factory: Client, queues: Sequence[QueueStatus], why: str) -> str:
    """Let the factory read its settings again."""
    result = await factory.post("/v1/reload", None, ReloadResult, deadline=30)
    if not (result.added or result.changed or result.removed):
        return "settings read again: nothing changed"
    counts = ((result.added, "added"), (result.changed, "changed"), (result.removed, "removed"))
    told = [f"{words.count(len(names), 'queue')} {what}" for names, what in counts if names]
    return f"settings read again: {', '.join(told)}"


DONE: dict[str, Done] = {"pause": pause, "drain": drain, "resume": resume, "reload": reload}


async def _set(
    factory: Client, queues: Sequence[QueueStatus], key: str, why: str, done: str
) -> str:
    changes = [Change(queue=q.name, key=key, value=True, revision=q.revision) for q in queues]
    return await _change(factory, changes, why, done)


async def _change(factory: Client, changes: Sequence[Change], why: str, done: str) -> str:
    request = ChangeRequest(changes=tuple(changes), why=why)
    action = await factory.post("/v1/changes", request, Action)
    return (
        f"{done} (action {action.id[:8]})"
        if action.state == "applied"
        else (f"{action.state}: {action.what}; {action.detail}")
    )


async def _detail(factory: Client, name: str) -> QueueDetail:
    return await factory.get("/v1/queue", QueueDetail, name=name)


def _names(queues: Sequence[QueueStatus]) -> str:
    return queues[0].name if len(queues) == 1 else words.count(len(queues), "queue")
