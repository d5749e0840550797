"""Submissions of the last while, in memory: what is in flight, and what demand was spent on."""

from collections import defaultdict
from collections.abc import Iterable

from core.decision.demand import Sent
from core.model.submission import Intent, IntentState
from core.state import clock

REMEMBERED_S = 3600.0
"""Resolved submissions are kept in memory at least so long."""


class Outstanding:
    """Every intent that facts may still have to account for."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        """Start from what the ledger knows of the last while, and of all that is unresolved."""
        self._by_queue: dict[str, dict[str, Intent]] = defaultdict(dict)
        for intent in intents:
            self.put(intent)

    def put(self, intent: Intent) -> None:
        """Add an intent, or replace it by what became of it."""
        self._by_queue[intent.queue][intent.submission] = intent

    def sent(self, queue: str, batch: str) -> list[Sent]:
        """Return what was sent for a queue to a batch system; unresolved ones count in full."""
        return _sent(self._of(queue), batch)

    def sent_to(self, batch: str) -> list[Sent]:
        """Return what was sent to a batch system for any queue."""
        return _sent((i for of in self._by_queue.values() for i in of.values()), batch)

    def blocking(self, queue: str) -> Intent | None:
        """Return the oldest intent of a queue whose outcome is not known, or is in conflict."""
        return min((i for i in self._of(queue) if _open(i)), key=lambda i: i.at, default=None)

    def unresolved(self) -> list[Intent]:
        """Return all intents whose outcome is not known, or is in conflict, oldest first."""
        found = (i for of in self._by_queue.values() for i in of.values() if _open(i))
        return sorted(found, key=lambda i: i.at)

    def confirmed(self, submissions: Iterable[str], queue: str) -> int:
        """Return how many pilots these submissions of a queue brought."""
        mine = self._by_queue.get(queue, {})
        found = (mine.get(s) for s in submissions)
        return sum(i.n for i in found if i is not None and i.state is IntentState.CONFIRMED)

    def forget(self, before: float) -> None:
        """Drop what was resolved before this boottime: no fact can depend on it any more."""
        for queue in list(self._by_queue):
            kept = {
                s: i for s, i in self._by_queue[queue].items() if _open(i) or _receipt(i) >= before
            }
            if kept:
                self._by_queue[queue] = kept
            else:
                del self._by_queue[queue]

    def _of(self, queue: str) -> Iterable[Intent]:
        return self._by_queue.get(queue, {}).values()


def _sent(intents: Iterable[Intent], batch: str) -> list[Sent]:
    return [
        Sent(None if _open(i) else _receipt(i), i.n)
        for i in intents
        if i.batch == batch and i.state is not IntentState.ABSENT
    ]


def _open(intent: Intent) -> bool:
    return intent.state in (IntentState.INTENT, IntentState.CONFLICT)


def _receipt(intent: Intent) -> float:
    """Return when the outcome was known, as a boottime of this boot."""
    if intent.boot_id == clock.boot_id() and intent.resolved_boottime is not None:
        return intent.resolved_boottime
    # Another boot of the host: its boottimes say nothing here, Unix time has to do.
    resolved = intent.resolved_at if intent.resolved_at is not None else intent.at
    return clock.boottime() - max(0.0, clock.wall() - resolved)
