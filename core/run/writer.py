"""Disk writes off the event loop, one at a time, in the order asked."""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread

R = TypeVar("R")


class Writer:
    """A disk that hangs must not keep the API from answering. Writes cannot be cancelled."""

    def __init__(self) -> None:
        self._one = anyio.CapacityLimiter(1)

    async def do(self, write: Callable[..., R], *args: Any) -> R:
        """Run `write(*args)` in a thread when all earlier writes are done."""
        return await anyio.to_thread.run_sync(write, *args, limiter=self._one)
