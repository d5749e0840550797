"""Answers for people and for programs. Unknown is `?`, never 0."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from core.model.text import clean, visible

if TYPE_CHECKING:
    from pydantic import BaseModel

    from core.api.models import QueueStatus
    from core.model.decision import Decision


_LONGEST = 4000
"""Characters of one text: paths and settings may hold what moves a terminal, and are cleaned."""


def number(value: int | None) -> str:
    """Return a number, or `?`."""
    return "?" if value is None else str(value)


def age(seconds: float | None) -> str:
    """Return `12s`, `3m`, `2h`, `4d`; `?` if unknown."""
    if seconds is None:
        return "?"
    whole = max(0, int(seconds))
    for unit, length, below in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if whole < below:
            return f"{whole // length}{unit}"
    return f"{whole // 86_400}d"


def states(jobs: Mapping[str, int]) -> str:
    """Return `holding 3, merging 1`: jobs in states that no formula uses."""
    return ", ".join(f"{name} {n}" for name, n in jobs.items())


def count(n: int, what: str) -> str:
    """Return `1 queue`, `2 queues`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def last(decision: Decision | None) -> str:
    """Return what was decided last: `+3`, `0`, `blind`; `-` if nothing was yet."""
    if decision is None:
        return "-"
    if decision.blind:
        return "blind"
    return f"+{decision.submit}" if decision.submit else "0"


def decision(told: Decision) -> None:
    """Print a decision step by step."""
    if told.blind:
        click.echo(f"{told.queue}: blind, nothing is submitted or removed: {told.blind_because}")
        return
    bound = f", bound by {told.bound_by}" if told.bound_by else ""
    click.echo(f"{told.queue}: submit {told.submit}{bound}")
    steps(told)


def steps(told: Decision) -> None:
    """Print the steps of a decision."""
    table(
        ("STEP", "IN", "OUT", "REASON"),
        ((s.plugin, str(s.in_), str(s.out), s.reason) for s in told.steps),
        right=("IN", "OUT"),
    )


def script(text: str) -> str:
    """Return a script: for a file as it is, for a terminal with nothing that could move it."""
    if not sys.stdout.isatty():
        return text
    return visible(text)


def wrapper(queue: QueueStatus) -> str:
    """Return what a queue's new pilots start with: `generic@3`."""
    return f"{queue.wrapper}@{queue.wrapper_version}" if queue.wrapper_version else queue.wrapper


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """Print aligned columns; those named in `right` are numbers."""
    lines = [tuple(head), *(tuple(clean(cell, _LONGEST) for cell in row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    to_right = set(right)
    for line in lines:
        cells = (
            cell.rjust(width) if name in to_right else cell.ljust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Print names and what they are, aligned."""
    told = list(rows)
    width = max((len(name) for name, _ in told), default=0)
    for name, text in told:
        click.echo(f"{name.ljust(width)}  {clean(text, _LONGEST)}".rstrip())


def line(text: str) -> None:
    """Print one line."""
    click.echo(clean(text, _LONGEST))


def as_json(value: Any) -> None:
    """Print JSON: models, or containers of them."""
    click.echo(json.dumps(_plain(value), indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "model_dump"):
        model: BaseModel = value
        return model.model_dump(mode="json", by_alias=True)
    return value
