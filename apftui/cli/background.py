"""A factory in the background: nothing that happens to the terminal reaches it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from core.model.errors import ApftuiError
from core.model.text import clean

if TYPE_CHECKING:
    from pathlib import Path

    from core.settings.schema import FactoryTable

_START_S = 240.0
"""Opening the state folder waits 180 s for a submitter of an earlier factory to die."""
_OTHER_S = 30.0
"""The factory that was first may still be starting."""


def start(settings: Path, factory: FactoryTable) -> Path:
    """Start a factory and return its socket once it answers.

    If two start at once, the state lock decides and both return the winner's. Raise ApftuiError
    with what it said if it did not start.
    """
    import os

    from core.api.socket import find_socket, listens
    from core.state.lock import held

    with tempfile.TemporaryFile() as said:
        # -P: whatever stands in the current folder is not ours.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.api.serve", "--config", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            cwd="/",
            start_new_session=True,
        )
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            socket = find_socket(factory, os.environ)
            if listens(socket):
                return socket
            if process.poll() is not None:
                if not held(factory.state):
                    said.seek(0)
                    words = said.read().decode(errors="replace").strip().removeprefix("apftui: ")
                    raise ApftuiError(clean(words) or f"it ended with code {process.returncode}")
                end = min(end, time.monotonic() + _OTHER_S)
            time.sleep(0.05)
    raise ApftuiError(
        f"the factory for {settings} does not answer", f"see {factory.state / 'factory.log'}"
    )
