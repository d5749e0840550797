"""A terminal of the test's own: the program sees a real one, and the test what it draws."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from types import TracebackType
from typing import Self

_CONTROL = re.compile(rb"\x1b(\[[0-9;?<>=!]*[ -/]*[@-~]|[()][A-Z0-9]|[=>NOc78]|\][^\x07]*\x07)")


class Screen:
    """`apftui` in a session of its own on a terminal of 120x30."""

    def __init__(self, *args: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execv(sys.executable, [sys.executable, "-m", "apftui", *args])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
        self._seen = b""
        self.code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()

    @property
    def text(self) -> str:
        """All that was drawn so far, without control sequences."""
        return _CONTROL.sub(b" ", self._seen).decode(errors="replace")

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._fd, keys.encode())

    def until(self, text: str, seconds: float = 30.0) -> None:
        """Wait until `text` was drawn; fail with what was."""
        end = time.monotonic() + seconds
        while text not in self.text:
            if time.monotonic() > end or not self._read(0.1):
                raise AssertionError(f"{text!r} never came; there is:\n{self.text[-3000:]}")

    def hang_up(self) -> None:
        """Take the terminal away, as a lost ssh line does."""
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def kill(self) -> None:
        """SIGKILL the program."""
        os.kill(self.pid, signal.SIGKILL)
        self.ended()

    def ended(self, seconds: float = 30.0) -> int:
        """Wait until the program has ended and return its exit code."""
        end = time.monotonic() + seconds
        while self.code is None:
            self._read(0.05)
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > end:
                raise AssertionError(f"it still runs:\n{self.text[-3000:]}")
        return self.code

    def _read(self, seconds: float) -> bool:
        try:
            if not select.select([self._fd], [], [], seconds)[0]:
                return True
            got = os.read(self._fd, 65536)
        except (OSError, ValueError):
            time.sleep(0.02)
            return False
        self._seen += got
        return bool(got)
