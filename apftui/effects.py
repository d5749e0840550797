"""What a change would do, in words: the same on the command line and in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apftui.values import shown

if TYPE_CHECKING:
    from core.api.models import Effect, ValueChange
    from core.model.decision import Decision


def effect(told: Effect) -> str:
    """Return `submit 20 → 40, bound by max-pending`."""
    before, after = _outcome(told.before), _outcome(told.after)
    words = after if before == after else f"{before} → {after.removeprefix('submit ')}"
    if before == after:
        words += ", as before"
    if told.after.blind:
        words += f": {told.after.blind_because or 'a needed number is unknown'}"
    elif told.after.bound_by:
        words += f", bound by {told.after.bound_by}"
    return words if told.due else f"{words}; after the next count of pilots"


def change(told: ValueChange) -> str:
    """Return `sched.max-pending.maximum 100 → 50`, with the layer where none is an operator's."""
    after = _value(told.after, told.after_layer)
    if told.after_layer not in (None, "override"):
        after += f" ({told.after_layer})"
    return f"{told.key} {_value(told.before, told.before_layer)} → {after}"


def _value(value: object, layer: str | None) -> str:
    return "not set" if layer is None else shown(value)


def _outcome(decision: Decision) -> str:
    if decision.blind:
        return "blind"
    return f"remove {decision.remove}" if decision.remove else f"submit {decision.submit}"
