"""A tmux server of the test's own: what a person at a terminal types and sees."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Terminal:
    """One window in which commands run."""

    def __init__(self, command: str, width: int = 80, height: int = 24) -> None:
        self._server = f"apftui-test-{uuid.uuid4().hex[:8]}"
        size = ("-x", str(width), "-y", str(height))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, command)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """Kill the server, as a host that goes down under the operator's session."""
        self._tmux("kill-server", check=False)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, Escape, Tab, j."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type text as it is."""
        self._tmux("send-keys", "-l", text)

    @property
    def text(self) -> str:
        """What stands on the screen now; empty if the window is closed."""
        return self._tmux("capture-pane", "-p", check=False)

    @property
    def closed(self) -> bool:
        """True when the command has ended."""
        return not self._tmux("list-sessions", check=False)

    def until(self, true: str | Callable[[str], bool], seconds: float = 30.0) -> str:
        """Wait until the screen has a text, or is as wanted; return it."""
        end = time.monotonic() + seconds
        while True:
            text = self.text
            if true in text if isinstance(true, str) else true(text):
                return text
            if time.monotonic() > end:
                raise AssertionError(f"{true!r} never came; there is:\n{text}")
            time.sleep(0.05)

    def _tmux(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._server, *args],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )
        if check and done.returncode:
            raise AssertionError(f"tmux {args}: {done.stderr}")
        return done.stdout
