"""Lines that are there only if something is wrong with the factory itself."""

from collections.abc import Callable

from textual.strip import Strip
from textual.widget import Widget

from apftui.console.store import Change, Store
from apftui.console.widgets.paint import Painted


class Alarms(Painted, Widget):
    """At most as many lines as `most()` allows; the rest is counted."""

    def __init__(self, store: Store, most: Callable[[], int]) -> None:
        super().__init__()
        self._store = store
        self._most = most
        self._texts: tuple[str, ...] = ()
        self.display = False

    def on_mount(self) -> None:
        self._leave = self._store.subscribe(self._changed)
        self._changed(Change(None))

    def on_unmount(self) -> None:
        self._leave()

    def on_resize(self) -> None:
        self._changed(Change(None))

    def _changed(self, change: Change) -> None:
        texts = self._store.alarms()
        if len(texts) > self._most():
            kept = texts[: self._most()]
            texts = (*kept[:-1], f"{kept[-1]}   (and {len(texts) - len(kept)} more: A)")
        if texts == self._texts:
            return
        self._texts = texts
        self.display = bool(texts)
        self.styles.height = max(1, len(texts))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._texts):
            return Strip.blank(width, self.rich_style)
        return self.paint([(" ! ", "bad"), (self._texts[y], "")], width, "alarm")
