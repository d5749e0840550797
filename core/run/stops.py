"""An operator's stop of a queue: paused, or draining until its last pilot has ended."""

from collections.abc import Callable

from core.decision.chain import Stop
from core.settings.overrides import Overrides, asked_by
from core.settings.schema import QueueSettings

Stopped = Callable[[QueueSettings], Stop | None]


def operators_stop(queue: QueueSettings, overrides: Overrides) -> Stop | None:
    """Return why a queue submits nothing whatever its chain says; a pause comes before a drain."""
    if queue.paused:
        return Stop("paused", f"paused {asked_by(overrides, queue.name, 'paused')}")
    if queue.drain:
        return Stop("draining", f"drain set {asked_by(overrides, queue.name, 'drain')}")
    return None
