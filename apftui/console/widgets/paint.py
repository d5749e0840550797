"""From text to the terminal. All text passes here, and is cleaned here once more."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from core.model.text import clean

Span = tuple[str, str]
"""Text, and the name of its ink; "" is the ordinary one."""
Line = Sequence[Span]

INKS = {"dim", "soft", "strong", "key", "calm", "good", "warn", "bad", "title", "cursor", "alarm"}


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """Return `text`, cleaned, in exactly `width` cells; what is cut off leaves an `…`."""
    text = clean(text)
    cells = len(text) if text.isascii() else cell_len(text)
    if cells > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else "…"[:width]
    return " " * (width - cells) + text if right else text + " " * (width - cells)


class Item(NamedTuple):
    """A part of a line that is shown whole or not at all; the lowest rank stays longest."""

    rank: int
    line: Line


def fit(items: Iterable[Item], width: int, gap: int) -> list[Item]:
    """Return the items, in their order, that fit into `width` cells with `gap` between them."""
    kept = [item for item in items if item.line]
    while kept and sum(_cells(item.line) + gap for item in kept) - gap > width:
        kept.remove(max(kept, key=lambda item: item.rank))
    return kept


def spread(left: Sequence[Item], right: Sequence[Item], width: int, gap: int = 3) -> list[Span]:
    """Return one line of `width` cells: `left` from the left, `right` against the right edge."""
    kept = fit([*left, *right], width - 2, gap)
    start = _joined([item for item in kept if item in left], gap)
    end = _joined([item for item in kept if item not in left], gap)
    room = max(0, width - 2 - _cells(start) - _cells(end))
    return [(" ", ""), *start, (" " * room, ""), *end]


def _joined(items: Iterable[Item], gap: int) -> list[Span]:
    line: list[Span] = []
    for item in items:
        if line:
            line.append((" " * gap, ""))
        line += item.line
    return line


def _cells(line: Line) -> int:
    return sum(cell_len(clean(text)) for text, _ in line)


class Painted(Widget):
    """A widget that is drawn line by line in the console's inks."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"paint--{ink}" for ink in INKS}
    ALLOW_SELECT = False

    def ink(self, name: str, ground: str = "") -> Style:
        """Return the style of `name`, on the ground of another ink."""
        style = self._inks.get((name, ground))
        if style is None:
            style = self.rich_style
            if ground:
                style = self.get_component_rich_style(f"paint--{ground}")
            if name:
                style += self.get_component_rich_style(f"paint--{name}", partial=True)
            self._inks[name, ground] = style
        return style

    @cached_property
    def _inks(self) -> dict[tuple[str, str], Style]:
        return {}

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks.clear()

    def paint(self, line: Line, width: int, ground: str = "") -> Strip:
        """Return `line`, cleaned, cut or filled to `width` cells."""
        plain = self.ink("", ground)
        segments = [
            Segment(clean(text), self.ink(name, ground) if name else plain) for text, name in line
        ]
        return Strip(segments).adjust_cell_length(width, plain)
