"""How pilots ended in the last hour: each counted once, however often it is told."""

from collections import Counter
from collections.abc import Iterable

from core.model.answers import Ended, OutcomeCount

HOUR_S = 3600.0


class LastHour:
    """Pilots that ended, by their ids. Lives in a worker: a busy hour has a hundred thousand."""

    def __init__(self) -> None:
        self._ended: dict[str, Ended] = {}

    def take(self, pilots: Iterable[Ended], now: float) -> tuple[OutcomeCount, ...]:
        """Add what ended, forget what is over an hour old by Unix time `now`; return the counts.

        The last word on a pilot counts: the first may have been told as it just ended.
        """
        since = now - HOUR_S
        kept = {one.id: one for one in self._ended.values() if one.at > since}
        for one in pilots:
            if one.at > since:
                kept[one.id] = one
        self._ended = kept
        done = Counter(one.queue for one in kept.values() if one.done)
        failed = Counter(one.queue for one in kept.values() if not one.done)
        return tuple(
            OutcomeCount(queue=queue, done=done[queue], failed=failed[queue])
            for queue in sorted(done.keys() | failed.keys())
        )
