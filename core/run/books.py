"""The books of submissions: every outcome goes to the ledger first, then to all who count."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from core.model.errors import StateError
from core.model.submission import Intent, IntentState
from core.model.text import clean
from core.run.opening import State
from core.run.outstanding import Outstanding
from core.run.writer import Writer
from core.state import clock

R = TypeVar("R")


class Books:
    """Writes intents and outcomes of one batch system's submissions."""

    def __init__(
        self, state: State, writer: Writer, outstanding: Outstanding, news: Callable[[], None]
    ) -> None:
        """`news` hears of every outcome."""
        self.state = state
        self.outstanding = outstanding
        self.alarms: dict[str, str] = {}
        """What operators must know, by subject."""
        self._writer = writer
        self._news = news

    async def write(self, intents: Sequence[Intent]) -> None:
        """Commit intents, all or none. Raise StateError: then nothing may be sent."""
        try:
            await self._writer.do(self.state.ledger.write_intents, intents)
        except StateError as error:
            self.alarms["ledger"] = f"nothing is submitted: {error}"
            raise
        self.alarms.pop("ledger", None)
        for intent in intents:
            self.outstanding.put(intent)

    async def resolve(
        self, intent: Intent, state: IntentState, detail: str, cluster: str | None = None
    ) -> bool:
        """Commit an outcome; False if the disk does not take it: then it is still unknown."""
        resolve = self.state.ledger.resolve
        try:
            await self._writer.do(resolve, intent.submission, state, detail, cluster)
        except StateError as error:
            self.alarms["ledger"] = f"nothing is submitted: {error}"
            return False
        self.outstanding.put(
            intent.model_copy(
                update={
                    "state": state,
                    "detail": detail,
                    "cluster": cluster or intent.cluster,
                    "resolved_at": clock.wall(),
                    "resolved_boottime": clock.boottime(),
                }
            )
        )
        self._news()
        return True

    async def intent(self, submission: str) -> Intent | None:
        """Return an intent as the ledger has it."""
        return await self._read(self.state.reader.intent, submission)

    async def known(self, submissions: Sequence[str]) -> dict[str, Intent]:
        """Return those of `submissions` that the ledger has."""
        return await self._read(self.state.reader.known, submissions)

    async def last_confirmed(self, schedd: str) -> Intent | None:
        """Return the submission that this batch system confirmed last."""
        return await self._read(self.state.reader.last_confirmed, schedd)

    async def _read(self, read: Callable[..., R], *args: object) -> R:
        """Read the ledger after all earlier writes. Raise StateError if it cannot be read."""
        try:
            return await self._writer.do(read, *args)
        except sqlite3.Error as error:
            path = self.state.ledger.path
            raise StateError(f"cannot read {path}: {clean(str(error))}", "see its disk") from error
