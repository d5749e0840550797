"""Second line: sums over what the filter shows, and the filter itself."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console.widgets.paint import Item, Painted, spread
from core.api.models import QueueStatus


class View(NamedTuple):
    """How the table shows them: which row of how many, of all there are."""

    row: int = -1
    shown: int = 0
    of: int = 0
    filter: str = ""
    marked: int = 0


class Sum(NamedTuple):
    """One number; the lowest rank stays longest."""

    rank: int
    label: str
    short: str
    text: str


class Totals(Painted, Widget):
    """One line; the overview tells it what the table shows."""

    def __init__(self) -> None:
        super().__init__(classes="body")
        self._sums: tuple[Sum, ...] = ()
        self._view = View()

    def count(self, shown: Sequence[QueueStatus], cycle: int | None) -> None:
        """Add up `shown`; `cycle` is the pass that was last."""
        submitted = words.total(q.submitted for q in shown if q.cycle == cycle)
        self._sums = (
            Sum(5, "activated", "act", words.total(q.activated for q in shown)),
            Sum(4, "pending", "pend", words.total(q.pending for q in shown)),
            Sum(3, "running", "run", words.total(q.running for q in shown)),
            Sum(6, "held", "held", words.total(q.held for q in shown)),
            Sum(7, "submitted last pass", "sub", "0" if submitted == "0" else f"+{submitted}"),
            Sum(11, "done/h", "done/h", words.total(q.done for q in shown)),
            Sum(10, "failed/h", "fail/h", words.total(q.failed for q in shown)),
        )
        self.refresh()

    def show(self, view: View) -> None:
        """Take what the right half says."""
        if view != self._view:
            self._view = view
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, view = self.size.width, self._view
        sums = [
            Item(
                each.rank,
                [
                    (f"{each.short if width < 100 else each.label} ", "soft"),
                    (each.text, "warn" if words.UNKNOWN in each.text else "strong"),
                ],
            )
            for each in self._sums
        ]
        row = f"{view.row + 1}/{view.shown}"
        if view.filter:
            row += f" of {view.of}"
        right = [
            Item(0, [(f"◆ {view.marked} marked", "key")] if view.marked else []),
            Item(1, [(f"/{view.filter}", "key")] if view.filter else []),
            Item(2 if view.filter else 9, [(row, "soft" if view.filter else "dim")]),
        ]
        return self.paint(spread(sums, right, width), width)
