"""Questions to a schedd: how many jobs, which clusters, what has left the queue."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.model.errors import SourceError
from core.model.text import clean
from plugins.condor.connection import Pool

Ad = Any
"""A classad2.ClassAd."""

_CLUSTER = ("ClusterId", "TotalSubmitProcs", "QDate", "APFSubmission", "APFQueue", "APFWrapper")
# How far the history is read back beyond the time that is asked for. A job gets there up to
# 15 minutes after its end (leave_in_queue), when the schedd finds time, and by its own clock.
_MARGIN_S = 3600
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PLAIN = re.compile(r'[^"\\$]*')


def count_by(
    pool: Pool, schedd: str | None, projection: Sequence[str], where: Mapping[str, str]
) -> tuple[str, list[Ad]]:
    """Let the schedd count its jobs by the attributes of `projection`; also return its name.

    Each ad has the values of a group (an attribute that it lacks is left out) and `JobCount`.
    The one place for such a query: a schedd applies the constraint once more to the group, which
    has only what is projected, and without an error it answers "none". So ValueError is raised
    for an attribute in `where` that is not in `projection`. Raise SourceError for no answer.
    """
    absent = [attribute for attribute in where if attribute not in projection]
    if absent:
        raise ValueError(f"counting by {list(projection)}, but asked where {absent} is ...")
    constraint = matching(where)

    def question(schedd: Any) -> list[Ad]:
        from htcondor2 import QueryOpt

        ads: list[Ad] = schedd.query(constraint, list(projection), opts=QueryOpt.GroupBy)
        return ads

    return pool.ask(schedd, question)


def held(pool: Pool, schedd: str, where: Mapping[str, str], most: int) -> list[Ad]:
    """Return queue and reason of at most so many held jobs. Raise SourceError for no answer."""
    constraint = f"JobStatus == 5 && {matching(where)}"

    def question(schedd: Any) -> list[Ad]:
        ads: list[Ad] = schedd.query(constraint, ["APFQueue", "HoldReason"], limit=most)
        return ads

    return pool.ask(schedd, question)[1]


def clusters(pool: Pool, schedd: str, where: Mapping[str, str]) -> list[Ad]:
    """Return the ads of clusters with a job in the queue. Raise SourceError for no answer.

    The cluster's ad has the n of its submission, whatever became of the single jobs.
    """
    constraint = f"ProcId is undefined && {matching(where)}"

    def question(schedd: Any) -> list[Ad]:
        from htcondor2 import QueryOpt

        ads: list[Ad] = schedd.query(constraint, list(_CLUSTER), opts=QueryOpt.IncludeClusterAd)
        return ads

    return pool.ask(schedd, question)[1]


def ended(pool: Pool, schedd: str, where: Mapping[str, str], since: float) -> list[Ad]:
    """Return one ad per cluster of jobs that left the queue after Unix time `since`.

    `TotalSubmitProcs` is there as in the queue. Raise SourceError for no answer.
    """
    constraint = matching(where)
    until = long_before(since)
    ads: list[Ad] = pool.ask(
        schedd, lambda schedd: schedd.history(constraint, list(_CLUSTER), -1, until)
    )[1]
    # A schedd that was killed may have written a job twice.
    return list({number(ad, "ClusterId"): ad for ad in ads}.values())


def long_before(since: float) -> str:
    """Return the constraint on a job in the history that no job is behind that ended after `since`.

    The history is read from the latest back to there.
    """
    # Only a pilot that ended by itself may be that one: others may stand in the queue for days
    # after their end, and are written with that old date when they leave.
    return (
        "(APFSubmission =!= undefined && JobStatus == 4"
        f" && EnteredCurrentStatus < {int(since) - _MARGIN_S})"
    )


def matching(where: Mapping[str, str]) -> str:
    """Return the constraint that each attribute is exactly its value: `==` ignores case.

    Raise ValueError for what is no name or no plain text. Escapes are not to be had: a schedd
    reads strings in its old syntax, for which classad2.quote is wrong with a backslash, a control
    character or anything beyond ASCII: the answer would be "none", without an error.
    """
    for attribute, value in where.items():
        if not _NAME.fullmatch(attribute):
            raise ValueError(f"no attribute's name: {attribute!r}")
        if not (value.isascii() and value.isprintable() and _PLAIN.fullmatch(value)):
            raise ValueError(f"no plain text: {value!r}")
    return " && ".join(f'{attribute} =?= "{value}"' for attribute, value in where.items())


def text(ad: Ad, attribute: str) -> str | None:
    """Return a string of an ad, cleaned; None if it has none."""
    value = ad.get(attribute)
    return clean(value) if isinstance(value, str) else None


def number(ad: Ad, attribute: str) -> int:
    """Return an integer of an ad. Raise SourceError if it has none."""
    value = ad.get(attribute)
    if isinstance(value, int):
        return value
    raise SourceError(
        f"a schedd's answer has no {attribute}: {clean(' '.join(str(ad).split()), 300)}",
        "look at the job with condor_q -long: what took it away?",
    )
