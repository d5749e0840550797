"""Pilots that ended: moved away, so that counting what lives stays quick, and deleted in time."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from core.model.answers import Ended
from core.model.text import clean
from plugins.local import pilots
from plugins.local.pilots import State, Submission

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


def since(path: Path, factory: str, instance: str, since: float) -> Iterator[Ended]:
    """Yield the pilots of a factory that ended after Unix time `since`.

    One that is filed away meanwhile may be told twice. Raise SourceError as `pilots.live` does.
    """
    for submission in pilots.live(path):
        yield from _pilots(submission, factory, instance, since)
    # After those that live: what ends between the two looks is moved from the first to the second.
    for submission in pilots.live(folder(path), since):
        yield from _pilots(submission, factory, instance, since)


def _pilots(submission: Submission, factory: str, instance: str, since: float) -> Iterator[Ended]:
    job = submission.job
    if (job.factory, job.instance) != (factory, instance):
        return
    for number, pilot in enumerate(submission.pilots()):
        try:
            with (pilot / pilots.EXIT).open("rb") as file:
                said, at = file.read(16), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            continue  # it lives, or was filed away meanwhile
        if at > since:
            yield Ended(f"{job.submission}.{number}", job.queue, at, said == b"0\n")


def delete_old(path: Path, keep: float) -> list[str]:
    """Delete what ended more than `keep` seconds ago, and drafts of crashed submissions."""
    deleted = 0
    now = time.time()
    for old in folder(path).glob("*-*-*-*-*"):
        if old.lstat().st_mtime < now - keep:
            # Whoever looks would stumble over one that a killed process has half deleted. A draft
            # is nobody's, and goes with the next.
            draft = pilots.draft(path, old.name)
            old.rename(draft)
            shutil.rmtree(draft, ignore_errors=True)
            deleted += 1
    for draft in path.glob(".*-*-*-*-*.tmp"):
        if draft.lstat().st_mtime < now - DRAFT_AGE:
            shutil.rmtree(draft, ignore_errors=True)
            deleted += 1
    return [f"deleted {deleted} old submissions in {path}"] if deleted else []
