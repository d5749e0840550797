"""First line: which factory, is it alive, may I change it, when is the next pass."""

from collections.abc import Callable

from textual.strip import Strip
from textual.widget import Widget

from apftui.console import format as words
from apftui.console.store import Change, Link, Store
from apftui.console.widgets.paint import Item, Line, Painted, spread


class Header(Painted, Widget):
    """One line; what does not fit goes, the link's state and RW/RO never."""

    def __init__(
        self,
        store: Store,
        ticks: Callable[[], float],
        wall: Callable[[], float],
        read_only: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._store = store
        self._ticks = ticks
        self._wall = wall
        self._read_only = read_only
        self._shown: Line = ()

    def on_mount(self) -> None:
        self._leave = self._store.subscribe(self._changed)

    def on_unmount(self) -> None:
        self._leave()

    def _changed(self, change: Change) -> None:
        self.tick()

    def tick(self) -> None:
        """Draw it again, if time or news made it another line."""
        if self._line(self.size.width) != self._shown:
            self.refresh()

    def render_line(self, y: int) -> Strip:
        self._shown = self._line(self.size.width)
        return self.paint(self._shown, self.size.width)

    def _line(self, width: int) -> Line:
        store = self._store
        name = store.factory.name if store.factory else store.hello.name if store.hello else ""
        items = [
            Item(4, [("apftui", "dim")]),
            Item(3, [(name, "strong")] if name else []),
            Item(0, self._link()),
            Item(1, [("RO", "warn")] if self._read_only() else [("RW", "soft")]),
            Item(6, self._cycle()),
            Item(7, [(words.count(len(store.queues), "queue"), "soft")]),
            Item(2, self._alarms()),
        ]
        return spread(items, [Item(5, [(words.clock(self._wall()), "soft")])], width)

    def _link(self) -> Line:
        store = self._store
        if store.answered_at is None:
            return [("◌ connecting", "warn")]
        age = max(0.0, self._ticks() - store.answered_at)
        if store.link is Link.STALE:
            since = words.clock(self._wall() - age)
            return [(f"○ STALE {words.age(age)}", "bad"), (f" since {since}", "warn")]
        return [("● live", "good"), (f" {words.age(age)}", "dim")]

    def _cycle(self) -> Line:
        store = self._store
        if store.factory is None or store.answered_at is None or store.link is Link.STALE:
            return []
        if store.factory.stopping:
            return [("stopping", "warn")]
        left = store.factory.next_pass_s
        if left is None:
            return [(f"pass {store.factory.cycle}", "soft")]
        left = max(0.0, left - (self._ticks() - store.answered_at))
        return [(f"pass {store.factory.cycle}", "soft"), (f" next {words.age(left)}", "dim")]

    def _alarms(self) -> Line:
        n = len(self._store.alarms())
        return [(f"!{words.count(n, 'alarm')}", "bad")] if n else []
