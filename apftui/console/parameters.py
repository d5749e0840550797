"""The parameters of one or more queues as one table, and what the operator wants instead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

from apftui.values import shown, span
from core.api.models import Change, Override, Parameter, Parameters

MIXED = "mixed"
UNSET = "–"


class Default(Enum):
    """What `d` asks for: the value that counts without any override."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT
New = Mapping[str, Any]
"""What is wanted instead, by key: values, or DEFAULT."""


@dataclass(frozen=True)
class Row:
    """One key, in all queues that have it."""

    key: str
    form: Mapping[str, Any]
    cells: Mapping[str, Parameter]
    """By queue."""

    def common(self, of: Callable[[Parameter], Any]) -> Any:
        """Return what is the same in all queues; MIXED if it is not."""
        found = [of(cell) for cell in self.cells.values()]
        return found[0] if all(each == found[0] for each in found) else MIXED

    @cached_property
    def value(self) -> Any:
        return self.common(lambda p: p.value)

    @cached_property
    def default(self) -> Any:
        return self.common(lambda p: p.default)

    @cached_property
    def layer(self) -> str:
        return str(self.common(lambda p: p.layer))

    @cached_property
    def default_layer(self) -> str:
        return str(self.common(lambda p: p.default_layer))

    @cached_property
    def overrides(self) -> Mapping[str, Override]:
        """Return who set it, by queue."""
        return {q: p.override for q, p in self.cells.items() if p.override is not None}

    @property
    def unit(self) -> str:
        return str(self.form.get("unit", ""))

    @property
    def span(self) -> str:
        return span(self.form)

    @property
    def help(self) -> str:
        return str(self.form.get("description", ""))


class Sheet:
    """What the factory said of the parameters at one time."""

    def __init__(self, pages: Iterable[Parameters]) -> None:
        self.revisions: dict[str, str] = {}
        cells: dict[str, dict[str, Parameter]] = {}
        forms: dict[str, Mapping[str, Any]] = {}
        for page in pages:
            for queue in page.queues:
                self.revisions[queue.name] = queue.revision
                for parameter in queue.values:
                    cells.setdefault(parameter.key, {})[queue.name] = parameter
                    forms.setdefault(parameter.key, page.forms[parameter.form])
        self.queues = tuple(self.revisions)
        self.rows = tuple(Row(key, forms[key], found) for key, found in cells.items())

    @cached_property
    def by_key(self) -> Mapping[str, Row]:
        return {row.key: row for row in self.rows}

    def changes(self, new: New) -> tuple[Change, ...]:
        """Return what is to be changed so that `new` counts, at the revisions seen here."""
        return tuple(
            Change(
                queue=queue,
                key=row.key,
                value=None if value is DEFAULT else value,
                revision=self.revisions[queue],
            )
            for queue in self.queues
            for row in self.rows
            if row.key in new and queue in row.cells
            if _differs(row.cells[queue], value := new[row.key])
        )

    def moved(self, before: "Sheet") -> dict[str, str]:
        """Return what is another value than `before`, in words with who did it."""
        told = {}
        for row in self.rows:
            old = before.by_key.get(row.key)
            for queue, now in row.cells.items():
                then = old.cells.get(queue) if old else None
                if then is not None and (then.value, then.layer) != (now.value, now.layer):
                    by = f" by {now.override.by}" if now.override else f" ({now.layer})"
                    told[row.key] = f"{text(then.value)} → {text(now.value)}{by}"
        return told


def _differs(cell: Parameter, value: Any) -> bool:
    if value is DEFAULT:
        return cell.override is not None
    same = type(value) is type(cell.value) and value == cell.value
    return not same or cell.layer not in ("override", cell.default_layer)


def text(value: Any) -> str:
    """Return a value as it stands in a cell: a list of words without its quotes."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "none"
    return UNSET if value is None else shown(value)


def new_text(row: Row, new: New) -> str:
    """Return what stands in the column NEW."""
    if row.key not in new:
        return ""
    return text(row.default) if new[row.key] is DEFAULT else text(new[row.key])


class Column(NamedTuple):
    """A column of the table; those of the highest rank go first when there is no room."""

    title: str
    width: int
    rank: int


class Place(NamedTuple):
    """A column where it stands on the screen."""

    column: Column
    x: int
    width: int


KEY = Column("PARAMETER", 27, 0)
VALUE = Column("VALUE", 10, 0)
NEW = Column("NEW", 10, 0)
DEFAULT_COLUMN = Column("DEFAULT", 8, 2)
LAYER = Column("LAYER", 8, 3)
RANGE = Column("RANGE", 10, 4)
UNIT = Column("UNIT", 8, 5)
COLUMNS = (KEY, VALUE, NEW, DEFAULT_COLUMN, LAYER, RANGE, UNIT)

MARGIN = 2
"""Cells for the cursor, left of the first column."""
_KEY_MAX = 56
_WIDE = (VALUE, NEW, DEFAULT_COLUMN, RANGE)


def layout(width: int, longest: int) -> tuple[Place, ...]:
    """Return what stands where; `longest` is the longest key."""
    kept = list(COLUMNS)
    while len(kept) > 1 and _needs(kept) > width:
        kept.remove(max(kept, key=lambda c: (c.rank, COLUMNS.index(c))))
    widths = {column: column.width for column in kept}
    spare = max(0, width - _needs(kept))
    widths[KEY] += min(spare, max(0, min(longest, _KEY_MAX) - KEY.width))
    spare = max(0, width - MARGIN - sum(widths.values()) - (len(kept) - 1))
    wide = [column for column in kept if column in _WIDE]
    for column in wide:
        widths[column] += min(14, spare // len(wide))
    places, x = [], MARGIN
    for column in kept:
        places.append(Place(column, x, widths[column]))
        x += widths[column] + 1
    return tuple(places)


def _needs(columns: Sequence[Column]) -> int:
    return MARGIN + sum(column.width for column in columns) + len(columns) - 1
