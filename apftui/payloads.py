"""Payload jobs as files, in the folders that the WMS `directory` counts."""

from pathlib import Path

FOLDERS = ("new", "running", "done", "failed")


def make_queue(root: Path, queue: str) -> Path:
    """Make the folders of a queue, for its owner and group only, and return the queue's."""
    root.mkdir(mode=0o770, parents=True, exist_ok=True)
    folder = root / queue
    for each in (folder, *(folder / name for name in FOLDERS)):
        each.mkdir(exist_ok=True)
        each.chmod(0o770)
    return folder


def add(root: Path, queue: str, name: str, command: str) -> None:
    """Put one payload, a shell script, into a queue; it is seen only when it is whole."""
    folder = root / queue / "new"
    draft = folder / f".{name}"
    draft.write_text(f"#!/bin/sh\n{command}\n")
    draft.chmod(0o770)
    draft.rename(folder / name)


def count(root: Path, folder: str) -> int:
    """Count the payloads of all queues in new, running, done or failed."""
    return sum(1 for path in root.glob(f"*/{folder}/*") if not path.name.startswith("."))
