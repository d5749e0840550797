"""How jobs ended: those that the queue still lists, and what was added to the history."""

import time
from collections.abc import Iterator
from typing import Any

from core.model.answers import Ended, EndedAnswer
from plugins.condor.connection import Pool
from plugins.condor.query import Ad, long_before, matching, text

_WANTED = [
    "GlobalJobId",
    "APFQueue",
    "CompletionDate",
    "EnteredCurrentStatus",
    "ExitBySignal",
    "ExitCode",
    "JobStatus",
]
_OVERLAP_S = 60


class EndedJobs:
    """Asks one schedd again and again; each time it reads what is new since the last answer.

    The queue is asked because jobs stay in it for 15 minutes after their end, and the history
    because it is certain: a factory may have been away for longer than that.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: float | None = None
        """When the last answer was asked for, by the monotonic clock."""
        self._newest: str | None = None
        """GlobalJobId of the last job in the history."""
        self._begins: float | None = None
        """When the oldest job in the history ended, if the history is short of an hour."""

    def since(self, factory: str, instance: str, since: float) -> EndedAnswer:
        """Return the jobs of this factory that ended after Unix time `since`, all or the new ones.

        Raise SourceError for no answer; then the next call returns what this one would have.
        """
        mine = matching({"APFFactory": factory, "APFInstance": instance})
        asked = time.monotonic()
        past = time.time() - since if self._asked is None else asked - self._asked
        # By the schedd's own clock.
        new = f"EnteredCurrentStatus >= time() - {int(past) + _OVERLAP_S}"
        until = long_before(since)
        if self._newest is not None:
            until += f" || {matching({'GlobalJobId': self._newest})}"

        def question(schedd: Any) -> tuple[list[Ad], list[Ad]]:
            # In this order: a job is in the history before it leaves the queue.
            listed = schedd.query(f"JobStatus >= 3 && JobStatus <= 4 && {new} && {mine}", _WANTED)
            return listed, schedd.history(mine, _WANTED, -1, until)

        schedd, (listed, gone) = self._pool.ask(None, question)
        found = list(ends(gone))
        if self._asked is None:
            self._begins = self._beginning(found, since)
        if gone:
            self._newest = text(gone[0], "GlobalJobId") or self._newest
        self._asked = asked
        return EndedAnswer([*ends(listed), *found], self._note(schedd, since))

    def _beginning(self, found: list[Ended], since: float) -> float | None:
        """Return the end of the first of the jobs `found` in the history; None if it has older.

        A history is short where the schedd is young, or keeps too little for so many jobs, or
        reads no more than HISTORY_HELPER_MAX_HISTORY (50,000): it answers without an error.
        """
        oldest = min((one.at for one in found), default=since)
        if oldest <= since:
            return None
        _, older = self._pool.ask(None, lambda s: s.history(long_before(since), ["ClusterId"], 1))
        return None if older else oldest

    def _note(self, schedd: str, since: float) -> str:
        if self._begins is None or self._begins <= since:
            return ""
        began = time.strftime("%H:%M:%SZ", time.gmtime(self._begins))
        return f"the history of {schedd} begins at {began}: what ended before is not counted"


def ends(ads: list[Ad]) -> Iterator[Ended]:
    """Yield how each job ended. One that lost what marks it as ours is left out."""
    for ad in ads:
        job, queue = text(ad, "GlobalJobId"), text(ad, "APFQueue")
        # A job that completed may still be removed from the queue: that is no other end. And for
        # a moment it is complete (4) without a date.
        completed = _time(ad, "CompletionDate")
        at = completed or _time(ad, "EnteredCurrentStatus")
        if job is not None and queue is not None and at is not None:
            by_itself = completed is not None or ad.get("JobStatus") == 4
            well = ad.get("ExitCode") == 0 and ad.get("ExitBySignal") is not True
            yield Ended(job, queue, at, by_itself and well)


def _time(ad: Ad, attribute: str) -> float | None:
    value = ad.get(attribute)
    return float(value) if isinstance(value, int) and value > 0 else None
