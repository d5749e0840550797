"""Last line: the keys that work here and now. Whole ones or none, `:` and `?` always."""

from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from apftui.console.commands import BY_NAME
from apftui.console.widgets.paint import Item, Painted, spread


class KeyBar(Painted, Widget):
    """Made from the screen's live bindings, so that it cannot promise what does not work."""

    def on_mount(self) -> None:
        screen: Screen[object] = self.screen
        screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render_line(self, y: int) -> Strip:
        width, items, seen = self.size.width, [], set()
        for active in self.screen.active_bindings.values():
            command = BY_NAME.get(active.binding.action)
            if command is None or not command.label or command.name in seen:
                continue
            seen.add(command.name)
            key = self.app.get_key_display(active.binding)
            ink = "" if active.enabled else "dim"
            items.append(
                (command.rank, [(key, "key" if active.enabled else "dim"), (f" {command.label}", ink or "soft")])
            )
        order = [Item(rank, line) for rank, line in items]
        return self.paint(spread(order, [], width, gap=2), width)
