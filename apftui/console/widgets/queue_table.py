"""The live table of all queues. Cursor, marks and scroll belong to queues, not to row numbers."""

from collections.abc import Callable
from enum import Enum
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from apftui.console import columns, filter, format
from apftui.console.columns import AGE, MARGIN, QUEUE, Column, Place, Sort
from apftui.console.store import Change, Seen, Store
from apftui.console.widgets.paint import Painted, Span, fitted
from core.api.models import QueueStatus

HEAD = 1
"""Lines of column titles above the rows."""


class Absent(Enum):
    """The sort key of a queue that is not shown."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class QueueTable(ScrollView, Painted, can_focus=True, inherit_bindings=False):
    """Draws what the store holds: only visible lines, of these only what changed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = Painted.COMPONENT_CLASSES
    ALLOW_SELECT = False

    class Moved(Message):
        """The cursor is on another queue, or the marks are others."""

    class Shown(Message):
        """What is shown changed: numbers, order, or which queues."""

    class Opened(Message):
        """The operator wants to see the queue under the cursor."""

    def __init__(self, store: Store, ticks: Callable[[], float]) -> None:
        super().__init__(classes="body")
        self._store = store
        self._ticks = ticks
        self._keys: dict[str, Sort] = {}
        self._order: list[str] = []
        self._row: dict[str, int] = {}
        self._places: tuple[Place, ...] = ()
        self._strips: dict[str, tuple[Seen, Strip, Strip]] = {}
        self._ages: dict[str, str] = {}
        self._fits = filter.parse("")
        self.filter = ""
        self.sort = QUEUE
        self.descending = False
        self.cursor: str | None = None
        self.marked: set[str] = set()

    def on_mount(self) -> None:
        self._leave = self._store.subscribe(self._changed)
        self._arrange()

    def on_unmount(self) -> None:
        self._leave()

    def on_resize(self) -> None:
        self._arrange()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    # What is shown

    @property
    def shown(self) -> tuple[QueueStatus, ...]:
        """The queues that the filter shows, in order."""
        return tuple(self._store.queues[name].queue for name in self._order)

    @property
    def current(self) -> QueueStatus | None:
        """The queue under the cursor."""
        seen = self._store.queues.get(self.cursor) if self.cursor else None
        return seen.queue if seen else None

    @property
    def place(self) -> int:
        """Number of the cursor's row among those shown, from 0; -1 if there is none."""
        return self.place_of(self.cursor) if self.cursor else -1

    def place_of(self, name: str) -> int:
        """Number of a queue's row, from 0; -1 if it is not shown."""
        return self._row.get(name, -1)

    @property
    def height(self) -> int:
        """How many queues are shown."""
        return len(self._order)

    def set_filter(self, text: str) -> None:
        """Show only what fits."""
        self.filter = text.strip()
        self._fits = filter.parse(text)
        self._arrange()

    def set_sort(self, column: Column, descending: bool | None = None) -> None:
        """Sort by `column`; None is that column's own first order."""
        self.sort = column
        self.descending = column.descending if descending is None else descending
        self._arrange()

    def step_sort(self, by: int) -> None:
        """Sort by another of the columns on the screen."""
        shown = [place.column for place in self._places]
        at = shown.index(self.sort) if self.sort in shown else -1
        self.set_sort(shown[(at + by) % len(shown)])

    def mark(self, names: set[str]) -> None:
        """Make `names` the marked queues."""
        self.marked = names & self._store.queues.keys()
        self._strips.clear()
        self.refresh()
        self.post_message(self.Moved())

    # Movement

    def move(self, by: int) -> None:
        """Move the cursor by rows."""
        self.go(self.place + by)

    def go(self, row: int) -> None:
        """Put the cursor on a row, or on the first or last one, and show it."""
        if not self._order:
            return
        before = self.place
        self.cursor = self._order[max(0, min(row, len(self._order) - 1))]
        self._show_cursor()
        for changed in {before, self.place}:
            self._refresh_row(changed)
        self.post_message(self.Moved())

    def go_to(self, name: str | None) -> None:
        """Put the cursor on a queue, if it is shown."""
        if name in self._row:
            self.go(self._row[name])

    @property
    def page(self) -> int:
        """Rows on the screen."""
        return max(1, self.size.height - HEAD)

    def _show_cursor(self) -> None:
        top, row = round(self.scroll_y), self.place
        if row < top:
            self._scroll(row)
        elif row >= top + self.page:
            self._scroll(row - self.page + 1)

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    # Changes

    def _changed(self, change: Change) -> None:
        if change.queues is None:
            self._arrange()
        elif change.queues:
            self._update(change.queues)

    def _update(self, changed: frozenset[str]) -> None:
        """Draw only `changed`, unless one of them comes, goes or sorts elsewhere."""
        queues = self._store.queues
        for name in changed:
            key = self._key(queues[name].queue) if name in queues else ABSENT
            if self._keys.get(name, ABSENT) != key:
                self._arrange()
                return
        for name in changed:
            self._refresh_row(self._row.get(name, -1))
        self.post_message(self.Shown())

    def _key(self, queue: QueueStatus) -> Sort | Absent:
        return self.sort.key(queue) if self._fits(queue) else ABSENT

    def _arrange(self) -> None:
        """Filter and sort anew."""
        keys = ((name, self._key(seen.queue)) for name, seen in self._store.queues.items())
        self._keys = {name: key for name, key in keys if not isinstance(key, Absent)}
        order = columns.order(self._keys, self.descending)
        self._replace(order)
        self.post_message(self.Shown())

    def _replace(self, order: list[str]) -> None:
        before, height = self.place, self.size.height
        offset = before - round(self.scroll_y)
        self._order = order
        self._row = {name: row for row, name in enumerate(order)}
        self.marked &= self._store.queues.keys()
        longest = max((len(name) for name in self._store.queues), default=0)
        places = columns.layout(self.size.width, longest)
        if places != self._places:
            self._places = places
            self._strips.clear()
        size = Size(self.size.width, len(order) + HEAD)
        if size != self.virtual_size:
            self.virtual_size = size
        if order and self.cursor not in self._row:
            self.cursor = order[max(0, min(before, len(order) - 1))]
        if order and height > HEAD:
            # The eye is on the cursor: its queue stays where it is on the screen.
            self._scroll(max(0, self.place - max(0, min(offset, self.page - 1))))
        self.refresh()

    def tick(self) -> None:
        """Draw the ages that time alone has changed."""
        place = next((p for p in self._places if p.column is AGE), None)
        if place is None:
            return
        top = round(self.scroll_y)
        for y, name in enumerate(self._order[top : top + self.page]):
            if self._age(name) != self._ages.get(name):
                self.refresh(Region(place.x, y + HEAD, place.width, 1))

    def _refresh_row(self, row: int) -> None:
        y = row - round(self.scroll_y)
        if row >= 0 and 0 <= y < self.page:
            self.refresh(Region(0, y + HEAD, self.size.width, 1))

    # Drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return self._titles(width)
        row = y - HEAD + round(self.scroll_y)
        if row < len(self._order):
            return self._line(self._order[row], width)
        if not self._order and y == 2:
            return self.paint([("  ", ""), (self._nothing(), "soft")], width)
        return Strip.blank(width, self.rich_style)

    def _nothing(self) -> str:
        if self._store.answered_at is None:
            return self._store.problem or "asking the factory…"
        if not self._store.queues:
            return "the factory has no queues: add some to its settings, then ctrl+r"
        return f"no queue fits the filter {self.filter}; esc clears it"

    def _titles(self, width: int) -> Strip:
        spans = [(" " * MARGIN, "")]
        for column, x, cells in self._places:
            title = column.title
            if column is self.sort:
                title += "▼" if self.descending else "▲"
            spans.append((fitted(title, cells, right=column.right), self._title_ink(column)))
            spans.append((" " * self._gap(x + cells), ""))
        return self.paint(spans, width)

    def _title_ink(self, column: Column) -> str:
        return "key" if column is self.sort else "dim"

    def _gap(self, x: int) -> int:
        following = [place.x for place in self._places if place.x >= x]
        return min(following) - x if following else 0

    def _line(self, name: str, width: int) -> Strip:
        seen = self._store.queues[name]
        if name == self.cursor:
            left, right = self._halves(seen, "cursor")
            ground = "cursor"
        else:
            ground = ""
            kept = self._strips.get(name)
            if kept is None or kept[0] is not seen:
                kept = self._strips[name] = (seen, *self._halves(seen, ""))
            _, left, right = kept
        place = next((p for p in self._places if p.column is AGE), None)
        parts = [left]
        if place is not None:
            age = self._ages[name] = self._age(name)
            style = self.ink(self._age_ink(seen), ground)
            parts.append(Strip([Segment(fitted(age, place.width, right=True), style)], place.width))
        parts.append(right)
        return Strip.join(parts).adjust_cell_length(width, self.ink("", ground))

    def _halves(self, seen: Seen, ground: str) -> tuple[Strip, Strip]:
        """Draw the cells left and right of the age."""
        queue, cursor = seen.queue, bool(ground)
        mark = "◆ " if queue.name in self.marked else "▌ " if cursor else "  "
        halves: tuple[list[Span], list[Span]] = ([(mark, "key")], [])
        half, end = halves[0], MARGIN
        for column, x, width in self._places:
            if x > end:
                half.append((" " * (x - end), ""))
            end = x + width
            if column is AGE:
                half = halves[1]
                continue
            text, ink = column.cell(queue)
            if column is QUEUE and cursor:
                ink = "strong"
            half.append((fitted(text, width, right=column.right), ink))
        return self._strip(halves[0], ground), self._strip(halves[1], ground)

    def _strip(self, spans: list[Span], ground: str) -> Strip:
        """Join neighbours of one ink, for every segment costs the terminal and the CPU."""
        joined: list[Span] = []
        for text, ink in spans:
            if joined and (ink == joined[-1][1] or text.isspace()):
                joined[-1] = (joined[-1][0] + text, joined[-1][1])
            else:
                joined.append((text, ink))
        return Strip([Segment(text, self.ink(ink, ground)) for text, ink in joined])

    def _age(self, name: str) -> str:
        return format.age(self._store.queues[name].decided_age(self._ticks()))

    def _age_ink(self, seen: Seen) -> str:
        age, factory = seen.decided_age(self._ticks()), self._store.factory
        late = age is not None and factory is not None and age > 3 * factory.cycle_s
        return "warn" if late else "dim"

    # Mouse

    async def on_click(self, event: events.Click) -> None:
        if event.y < HEAD:
            for column, x, width in self._places:
                if x <= event.x < x + width:
                    turn = not self.descending if column is self.sort else None
                    self.set_sort(column, turn)
            return
        row = event.y - HEAD + round(self.scroll_y)
        if row < len(self._order):
            self.go(row)
            if event.chain == 2:
                self.post_message(self.Opened())
