"""Last line: the keys that work here and now. Whole ones or none, `:` and `?` always."""

from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from apftui.console.commands import BY_NAME
from apftui.console.widgets.paint import Item, Painted, spread

TYPING = [
    Item(0, [("⏎", "key"), (" keep", "soft")]),
    Item(1, [("esc", "key"), (" clear", "soft")]),
]


class KeyBar(Painted, Widget):
    """Made from the screen's live bindings, so that it cannot promise what does not work."""

    def on_mount(self) -> None:
        screen: Screen[object] = self.screen
        screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        typing = isinstance(self.screen.focused, Input)
        return self.paint(spread(TYPING if typing else self._items(), [], width, gap=2), width)

    def _items(self) -> list[Item]:
        items: dict[str, Item] = {}
        for active in self.screen.active_bindings.values():
            command = BY_NAME.get(active.binding.action)
            if command is None or not command.label or command.name in items:
                continue
            key = self.app.get_key_display(active.binding)
            inks = ("key", "soft") if active.enabled else ("dim", "dim")
            line = [(key, inks[0]), (f" {command.label}", inks[1])]
            items[command.name] = Item(command.rank, line)
        return [*items.values()]
