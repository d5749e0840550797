"""`apftui --no-ui`: the factory in the foreground, its log on stderr."""

from __future__ import annotations

import os
from pathlib import Path


def run(settings: Path, cycles: int | None, as_json: bool) -> None:
    """Run until SIGTERM or SIGINT, or for so many passes. Raise InUse if one runs already."""
    import anyio

    from core.api.serve import run_factory, set_up_log
    from core.settings.load import read_layers

    layers = read_layers(settings)
    set_up_log(None, as_json)
    started_by = "systemd" if "NOTIFY_SOCKET" in os.environ else "no-ui"

    async def life() -> None:
        await run_factory(layers, started_by, cycles=cycles)

    anyio.run(life)
