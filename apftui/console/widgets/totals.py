"""Second line: sums over what the filter shows, and the filter itself."""

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console.widgets.paint import Item, Line, Painted, spread
from core.api.models import QueueStatus


class Totals(Painted, Widget):
    """One line; the table tells it what it shows."""

    shown: tuple[QueueStatus, ...] = ()
    of: int = 0
    filter: str = ""
    marked: int = 0
    cycle: int | None = None

    def show(
        self, shown: tuple[QueueStatus, ...], of: int, filter: str, marked: int, cycle: int | None
    ) -> None:
        """Take the queues that the table shows, `of` how many."""
        self.shown, self.of, self.filter = shown, of, filter
        self.marked, self.cycle = marked, cycle
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        narrow = width < 100
        sums = [
            self._sum(2, "act" if narrow else "activated", [q.activated for q in self.shown]),
            self._sum(1, "pend" if narrow else "pending", [q.pending for q in self.shown]),
            self._sum(0, "run" if narrow else "running", [q.running for q in self.shown]),
            self._sum(3, "held", [q.held for q in self.shown]),
        ]
        submitted = [q.submitted for q in self.shown if q.cycle == self.cycle]
        sums.append(self._sum(4, "sub" if narrow else "submitted last pass", submitted, "+"))
        return self.paint(spread(sums, self._view(), width), width)

    def _sum(self, rank: int, label: str, values: list[int | None] | list[int], sign: str = "") -> Item:
        text = words.total(values)
        style = "warn" if words.UNKNOWN in text else "strong"
        sign = sign if text.strip("0?") else ""
        return Item(rank + 3, [(f"{label} ", "soft"), (f"{sign}{text}", style)])

    def _view(self) -> list[Item]:
        marks: Line = [(f"◆ {self.marked} marked", "key")] if self.marked else []
        if not self.filter:
            return [Item(0, marks)]
        return [
            Item(1, [(f"/{self.filter}", "key")]),
            Item(2, [(f"{len(self.shown)} of {self.of}", "soft")]),
            Item(0, marks),
        ]
