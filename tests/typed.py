"""`apftui` as it is typed: the real program in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = (sys.executable, "-m", "apftui")


class Answer(NamedTuple):
    """What came back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed as JSON."""
        return json.loads(self.out)


def apftui(*args: str | Path, seconds: float = 60.0, **env: str) -> Answer:
    """Run a command without a terminal; `env` is added to the test's own. Never a traceback."""
    done = subprocess.run(
        [*PROGRAM, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **env},
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all that is in a folder: mode, time of the last write, content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }
