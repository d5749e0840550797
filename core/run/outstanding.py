"""Submissions of the last while, in memory: what is in flight, and what demand was spent on."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from core.decision.demand import Sent
from core.model.submission import Intent, IntentState
from core.state import clock

REMEMBERED_S = 3600.0
"""Resolved submissions are kept in memory at least so long."""


class _Entry(NamedTuple):
    """What facts need of a submission: its text is long, and an hour's are many."""

    batch: str
    state: IntentState
    sent: Sent


class Outstanding:
    """Every intent that facts may still have to account for."""

    def __init__(self, intents: Iterable[Intent]) -> None:
        """Start from what the ledger knows of the last while, and of all that is unresolved."""
        self._by_queue: dict[str, dict[str, _Entry]] = defaultdict(dict)
        self._open: dict[str, Intent] = {}
        for intent in intents:
            self.put(intent)

    def put(self, intent: Intent) -> None:
        """Add an intent, or replace it by what became of it."""
        if intent.state in (IntentState.INTENT, IntentState.CONFLICT):
            self._open[intent.submission] = intent
            at = None
        else:
            self._open.pop(intent.submission, None)
            at = receipt(intent)
        entry = _Entry(intent.batch, intent.state, Sent(at, intent.n))
        self._by_queue[intent.queue][intent.submission] = entry

    def sent(self, queue: str, batch: str) -> list[Sent]:
        """Return what was sent for a queue to a batch system; unresolved ones count in full."""
        return _sent(self._by_queue.get(queue, {}).values(), batch)

    def sent_to(self, batch: str) -> list[Sent]:
        """Return what was sent to a batch system for any queue."""
        return _sent((e for of in self._by_queue.values() for e in of.values()), batch)

    def blocking(self, queue: str) -> Intent | None:
        """Return the oldest intent of a queue whose outcome is not known, or is in conflict."""
        mine = (self._open.get(s) for s in self._by_queue.get(queue, ()))
        return min((i for i in mine if i is not None), key=lambda i: i.at, default=None)

    def unresolved(self) -> list[Intent]:
        """Return all intents whose outcome is not known, or is in conflict, oldest first."""
        return sorted(self._open.values(), key=lambda i: i.at)

    def confirmed(self, submissions: Iterable[str], queue: str) -> int:
        """Return how many pilots these submissions of a queue brought."""
        mine = self._by_queue.get(queue, {})
        found = (mine.get(s) for s in submissions)
        return sum(e.sent.n for e in found if e is not None and e.state is IntentState.CONFIRMED)

    def forget(self, before: float) -> None:
        """Drop what was resolved before this boottime: no fact can depend on it any more."""
        for queue in list(self._by_queue):
            kept = {
                submission: entry
                for submission, entry in self._by_queue[queue].items()
                if entry.sent.at is None or entry.sent.at >= before
            }
            if kept:
                self._by_queue[queue] = kept
            else:
                del self._by_queue[queue]


def _sent(entries: Iterable[_Entry], batch: str) -> list[Sent]:
    return [e.sent for e in entries if e.batch == batch and e.state is not IntentState.ABSENT]


def receipt(intent: Intent) -> float:
    """Return when the outcome was known, as a boottime of this boot."""
    if intent.boot_id == clock.boot_id() and intent.resolved_boottime is not None:
        return intent.resolved_boottime
    # Another boot of the host: its boottimes say nothing here, Unix time has to do.
    resolved = intent.resolved_at if intent.resolved_at is not None else intent.at
    return clock.boottime() - max(0.0, clock.wall() - resolved)
