"""Operators' stops of a queue, a pause or a drain: which there are, and how to end them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.api.models import Change, QueueDetail

STOPS = {"paused": "paused", "drain": "draining"}
"""The setting, and what the queue is then called."""

_OVERRIDE = "override"
"""Layer of a value that an operator set."""


def stops(detail: QueueDetail) -> dict[str, str]:
    """Return what stops the queue: setting → the layer that it comes from."""
    return {v.key: v.layer for v in detail.settings if v.key in STOPS and v.value is True}


def ends(detail: QueueDetail, revision: str) -> tuple[Change, ...]:
    """Return the changes that end all stops, made at a revision that was seen.

    An operator's own is taken away; one that a settings file asks for is overridden.
    """
    from core.api.models import Change

    return tuple(
        Change(
            queue=detail.status.name,
            key=key,
            value=None if layer == _OVERRIDE else False,
            revision=revision,
        )
        for key, layer in stops(detail).items()
    )
