"""Actions as they are told: without the material of their undo."""

from typing import Any

from core.run.views import Action


def action(row: dict[str, Any]) -> Action:
    """Return a row of the ledger for whoever asks."""
    told = {key: value for key, value in row.items() if key != "before"}
    queues = dict.fromkeys(change["queue"] for change in row["before"])
    return Action.model_validate({**told, "queues": tuple(queues)})
