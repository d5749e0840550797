"""Keeps the store as new as the factory: one long poll after another, again after every loss."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from apftui.console.store import Store
from core.api.client import Client
from core.api.models import Hello, Snapshot
from core.model.errors import ApftuiError

WAIT_S = 2.0
"""How long the factory may keep a poll if it has no news."""
GRACE_S = 2.0
"""A poll that takes this much longer is no answer any more."""
PAGE = 200
"""Queues per answer: more at once would hold up the keys."""
PAUSE_S = 0.2
"""Between two polls: changes in between come in one answer."""
FIRST_RETRY_S = 0.25
LAST_RETRY_S = 2.0


async def follow(socket: Path, store: Store, ticks: Callable[[], float]) -> None:
    """Fill `store` for ever. `ticks` are seconds of a clock that never goes back."""
    retry = FIRST_RETRY_S
    while True:
        try:
            async with Client(socket, deadline=WAIT_S + GRACE_S) as factory:
                store.greet(await factory.get("/v1/hello", Hello))
                while True:
                    page = await factory.get(
                        "/v1/snapshot",
                        Snapshot,
                        boot=store.boot,
                        after=store.version,
                        wait=WAIT_S,
                        limit=PAGE,
                    )
                    store.apply(page, ticks())
                    retry = FIRST_RETRY_S
                    await asyncio.sleep(0 if page.more else PAUSE_S)
        except ApftuiError as error:
            store.lose(str(error))
        await asyncio.sleep(retry)
        retry = min(2 * retry, LAST_RETRY_S)
