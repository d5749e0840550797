"""Columns of the queue table: what stands in them, how they sort, which go when it is narrow."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from apftui.console import format as words
from core.api.models import QueueStatus

Cell = tuple[str, str]
"""Text, and the name of its style."""
Sort = str | float | None

NAME_MIN, NAME_MAX = 18, 48
MARGIN = 2
"""Cells for the cursor and the mark, left of the first column."""


@dataclass(frozen=True)
class Column:
    """One column. `rank` says which go first when there is no room: the highest."""

    title: str
    rank: int
    width: int
    cell: Callable[[QueueStatus], Cell]
    key: Callable[[QueueStatus], Sort]
    right: bool = False
    descending: bool = False
    """The order in which one wants to see it first."""


class Place(NamedTuple):
    """A column where it stands on the screen."""

    column: Column
    x: int
    width: int


def _count(of: Callable[[QueueStatus], int | None], style: str = "") -> Callable[..., Cell]:
    def cell(queue: QueueStatus) -> Cell:
        value = of(queue)
        if value is None:
            return words.UNKNOWN, "warn"
        return words.number(value), "dim" if value == 0 else style

    return cell


def _numbers(
    title: str, rank: int, of: Callable[[QueueStatus], int | None], style: str = ""
) -> Column:
    return Column(title, rank, 5, _count(of, style), of, right=True, descending=True)


def _ended(
    title: str, rank: int, of: Callable[[QueueStatus], int | None], style: str = ""
) -> Column:
    """Make a column of what is nice to know: no alarm if it is unknown."""

    def cell(queue: QueueStatus) -> Cell:
        return (words.UNKNOWN, "dim") if of(queue) is None else _count(of, style)(queue)

    # Wide enough for the title with its arrow.
    return Column(title, rank, 7, cell, of, right=True, descending=True)


def _state(queue: QueueStatus) -> Cell:
    word = words.STATES[queue.state]
    return f"{word.glyph} {word.word}", word.style


def _last(queue: QueueStatus) -> Cell:
    decision, text = queue.decision, words.last(queue.decision)
    if decision is None:
        return text, "dim"
    if decision.blind:
        return text, "warn"
    if decision.submit == 0:
        return text, "dim"
    return text, "good" if queue.submitted == decision.submit else "warn"


def _decided(queue: QueueStatus) -> Sort:
    decision = queue.decision
    return None if decision is None or decision.blind else decision.submit - decision.remove


def _bound(queue: QueueStatus) -> Cell:
    bound = queue.decision.bound_by if queue.decision else None
    return (bound, "") if bound else (words.NONE, "dim")


def _plain(of: Callable[[QueueStatus], str | None], style: str = "") -> Callable[..., Cell]:
    def cell(queue: QueueStatus) -> Cell:
        text = of(queue)
        return (text, style) if text else (words.NONE, "dim")

    return cell


def _text(title: str, rank: int, width: int, of: Callable[[QueueStatus], str | None]) -> Column:
    return Column(title, rank, width, _plain(of, "soft"), lambda q: (of(q) or "").lower())


_WORST_FIRST = {state: place for place, state in enumerate(words.STATES)}

QUEUE = Column("QUEUE", 0, NAME_MIN, lambda q: (q.name, ""), lambda q: q.name.lower())
AGE = Column(
    "AGE", 8, 4, lambda q: ("", ""), lambda q: q.cycle and -q.cycle, right=True, descending=True
)
"""Since the decision. Drawn by the table, for it changes with time alone."""
WHY = Column("WHY", 9, 24, lambda q: (words.why(q, named=False), "soft"), words.why)
"""Takes the room that is left."""

COLUMNS = (
    QUEUE,
    Column("STATE", 1, 10, _state, lambda q: _WORST_FIRST[q.state]),
    _numbers("ACT", 5, lambda q: q.activated),
    _numbers("PEND", 3, lambda q: q.pending),
    _numbers("RUN", 4, lambda q: q.running),
    _numbers("HELD", 6, lambda q: q.held, "warn"),
    Column("LAST", 2, 5, _last, _decided, right=True, descending=True),
    Column("BOUND BY", 7, 13, _bound, lambda q: (q.decision and q.decision.bound_by) or None),
    AGE,
    _ended("DONE/h", 11, lambda q: q.done),
    _ended("FAIL/h", 10, lambda q: q.failed, "warn"),
    _text("WMS", 12, 9, lambda q: q.wms.status),
    _text("BATCH", 13, 10, lambda q: q.batch_name),
    _text("SCHEDD", 15, 20, lambda q: q.schedd),
    _text("WRAPPER", 14, 16, words.wrapper),
    WHY,
)


def layout(width: int, longest_name: int) -> tuple[Place, ...]:
    """Place as many columns as fit; the name gets what it needs before less important ones."""
    gap = 1 if width < 100 else 2
    name = max(NAME_MIN, min(longest_name, NAME_MAX))
    shown = [QUEUE]
    # The first nine are the console's face: for these the name goes down to its least.
    room = width - MARGIN - NAME_MIN
    for column in sorted(COLUMNS[1:], key=lambda column: column.rank):
        if column is WHY:
            room -= name - NAME_MIN
        if room < column.width + gap:
            break
        room -= column.width + gap
        shown.append(column)
    return tuple(_place([c for c in COLUMNS if c in shown], width, gap, name))


def _place(shown: Sequence[Column], width: int, gap: int, name: int) -> Iterable[Place]:
    spare = width - MARGIN - sum(c.width + gap for c in shown) + gap
    wider = max(0, min(spare, name - NAME_MIN))
    spare -= wider
    x = MARGIN
    for column in shown:
        cells = column.width
        if column is QUEUE:
            cells += wider
        elif column is WHY:
            cells += max(0, spare)
        yield Place(column, x, cells)
        x += cells + gap


def order(keys: Mapping[str, Sort], descending: bool) -> list[str]:
    """Sort names by their keys, then by name; what is unknown comes last in either direction."""
    names = sorted(keys, key=str.lower)
    known = [name for name in names if keys[name] is not None]
    known.sort(key=keys.__getitem__, reverse=descending)  # type: ignore[arg-type]
    return known + [name for name in names if keys[name] is None]
