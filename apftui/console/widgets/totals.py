"""Second line: sums over what the filter shows, and the filter itself."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console.widgets.paint import Item, Painted, spread
from core.api.models import QueueStatus


class View(NamedTuple):
    """What the table shows, and how."""

    shown: tuple[QueueStatus, ...] = ()
    of: int = 0
    filter: str = ""
    marked: int = 0
    row: int = -1
    cycle: int | None = None


class Totals(Painted, Widget):
    """One line; the table tells it what it shows."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._view = View()

    def show(self, view: View) -> None:
        """Take what the table shows."""
        if view != self._view:
            self._view = view
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, view = self.size.width, self._view
        narrow = width < 100
        sums = [
            _sum(2, "act" if narrow else "activated", [q.activated for q in view.shown]),
            _sum(1, "pend" if narrow else "pending", [q.pending for q in view.shown]),
            _sum(0, "run" if narrow else "running", [q.running for q in view.shown]),
            _sum(3, "held", [q.held for q in view.shown]),
        ]
        submitted = [q.submitted for q in view.shown if q.cycle == view.cycle]
        sums.append(_sum(4, "sub" if narrow else "submitted last pass", submitted, "+"))
        return self.paint(spread(sums, _how(view), width), width)


def _sum(rank: int, label: str, values: Sequence[int | None], sign: str = "") -> Item:
    text = words.total(values)
    style = "warn" if words.UNKNOWN in text else "strong"
    sign = sign if text.strip("0?") else ""
    return Item(rank + 3, [(f"{label} ", "soft"), (f"{sign}{text}", style)])


def _how(view: View) -> list[Item]:
    row = f"{view.row + 1}/{len(view.shown)}"
    if view.filter:
        row += f" of {view.of}"
    return [
        Item(0, [(f"◆ {view.marked} marked", "key")] if view.marked else []),
        Item(1, [(f"/{view.filter}", "key")] if view.filter else []),
        Item(2 if view.filter else 9, [(row, "soft" if view.filter else "dim")]),
    ]
