"""Operators' stops of a queue, a pause or a drain: how to end them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.api.models import Change, Parameters

STOPS = ("paused", "drain")
"""The settings that stop a queue."""
NOTHING = "nothing to resume: neither paused nor draining"


def ends(told: Parameters, revisions: Mapping[str, str]) -> tuple[Change, ...]:
    """Return the changes that end all stops, made at the revisions that were seen.

    An operator's own is taken away; one that the settings below ask for is overridden.
    """
    from core.api.models import Change

    return tuple(
        Change(
            queue=queue.name,
            key=stop.key,
            value=False if stop.default else None,
            revision=revisions[queue.name],
        )
        for queue in told.queues
        for stop in queue.values
        if stop.key in STOPS and stop.value is True
    )
