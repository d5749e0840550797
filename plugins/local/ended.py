"""Pilots that ended: moved away, so that counting what lives stays quick, and deleted in time."""

import os
import shutil
import time
from pathlib import Path

from core.model.text import clean
from plugins.local import pilots
from plugins.local.pilots import State

DRAFT_AGE = 86400.0
"""Seconds after which the draft of a submission was surely given up."""


def folder(path: Path) -> Path:
    """Return where submissions are moved whose pilots have all ended."""
    return path / "ended"


def file_away(path: Path) -> list[str]:
    """Give lost pilots a word for an exit code, and move submissions that have ended."""
    lines = []
    for submission in list(pilots.live(path)):
        states = [pilots.state(pilot) for pilot in submission.pilots()]
        for pilot, state in zip(submission.pilots(), states, strict=True):
            if state is State.LOST and _mark_lost(pilot):
                queue = clean(submission.job.queue, 100)
                lines.append(f"lost a pilot of {queue}: its shim was killed; see {pilot}")
        if set(states) <= {State.ENDED, State.LOST}:
            os.utime(submission.folder)
            folder(path).mkdir(mode=0o700, exist_ok=True)
            submission.folder.rename(folder(path) / submission.folder.name)
    return lines


def _mark_lost(pilot: Path) -> bool:
    with pilots.lock(pilot / pilots.LOCK) as got:
        if not got or (pilot / pilots.EXIT).exists():
            return False
        pilots.put(pilot / pilots.EXIT, "lost\n")
        return True


def delete_old(path: Path, keep: float) -> list[str]:
    """Delete what ended more than `keep` seconds ago, and drafts of crashed submissions."""
    deleted = 0
    now = time.time()
    for parent, pattern, age in (
        (folder(path), "*-*-*-*-*", keep),
        (path, ".*-*-*-*-*.tmp", DRAFT_AGE),
    ):
        for old in parent.glob(pattern):
            if old.lstat().st_mtime < now - age:
                shutil.rmtree(old, ignore_errors=True)
                deleted += 1
    return [f"deleted {deleted} old submissions in {path}"] if deleted else []
