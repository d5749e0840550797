"""A source: one worker that polls, and the last answer with its age. Unknown is not zero."""

import logging
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import anyio

from core.model.errors import ApftuiError
from core.model.frozen import Frozen
from core.model.text import clean
from core.run.worker import Worker
from core.settings.schema import SourceTiming
from core.state import clock

log = logging.getLogger("apftui.source")

A = TypeVar("A", bound=Frozen)

State = Literal["fresh", "stale", "failed", "waiting"]


class Polled(Generic[A]):
    """An answer and when its poll began and ended, in seconds of CLOCK_BOOTTIME."""

    def __init__(self, answer: A, began: float, ended: float) -> None:
        self.answer = answer
        self.began = began
        self.ended = ended


class Source(Generic[A]):
    """Polls for ever: own period, own deadline, own process."""

    def __init__(
        self,
        worker: Worker,
        timing: SourceTiming,
        answer: type[A],
        question: Callable[[], dict[str, Any]],
        *,
        upkeep: bool = True,
    ) -> None:
        """`question` gives the arguments of the next poll; `upkeep` comes before each."""
        self.worker = worker
        self.timing = timing
        self._answer = answer
        self._question = question
        self._upkeep = upkeep
        self.last: Polled[A] | None = None
        self.error: str | None = None
        self.polled = anyio.Event()
        """Set once the first poll has ended, well or not."""
        self._now = anyio.Event()

    def fresh(self, now: float) -> Polled[A] | None:
        """Return the last answer if it is young enough to act on."""
        if self.last is not None and now - self.last.ended <= self.timing.max_age:
            return self.last
        return None

    def state(self, now: float) -> State:
        """Return fresh, stale (too old, nothing worse known), failed, or waiting (first poll)."""
        if self.fresh(now):
            return "fresh"
        if self.error is not None:
            return "failed"
        return "waiting" if self.last is None else "stale"

    def problem(self, now: float) -> str | None:
        """Return why there is no answer to act on, in plain words; None if there is one."""
        if self.fresh(now):
            return None
        name = self.worker.name
        if self.last is None:
            return self.error or f"{name} has not answered yet"
        age = f"the last answer of {name} is {now - self.last.ended:.0f} s old"
        return f"{age}: {self.error}" if self.error else age

    async def run(self, answered: Callable[[], None]) -> None:
        """Poll until cancelled, and call `answered` after every poll; the process ends with it."""
        try:
            while True:
                started = clock.boottime()
                self._now = anyio.Event()
                if self._upkeep:
                    await self._keep_up()
                await self.poll()
                answered()
                rest = self.timing.period - (clock.boottime() - started)
                with anyio.move_on_after(max(0.05, rest)):
                    await self._now.wait()
        finally:
            await self.worker.close()

    def poll_soon(self) -> None:
        """Do not wait for the period to end; a poll that runs now is followed by another."""
        self._now.set()

    async def _keep_up(self) -> None:
        """Let the plug-in set right what only it can; a count is wanted even if it cannot."""
        try:
            for line in await self.worker.call("upkeep", self.timing.deadline):
                log.info("%s: %s", self.worker.name, clean(line))
        except ApftuiError as error:
            log.warning("%s: upkeep: %s", self.worker.name, error)

    async def poll(self) -> None:
        """Ask once."""
        try:
            began = clock.boottime()
            raw = await self.worker.call("poll", self.timing.deadline, **self._question())
            # Ten thousand queues take 0.2 s, in which the loop would answer nobody.
            answer = await anyio.to_thread.run_sync(self._answer.model_validate, raw)
        except (ApftuiError, ValueError) as error:
            if self.error is None:
                log.warning("%s: %s", self.worker.name, error)
            self.error = clean(str(error))
        else:
            if self.error is not None:
                log.info("%s answers again", self.worker.name)
            self.error = None
            self.last = Polled(answer, began, clock.boottime())
        finally:
            self.polled.set()
