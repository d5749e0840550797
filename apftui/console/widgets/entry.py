"""One line to type into. Takes nothing that a terminal could take for an order."""

from textual import events
from textual.binding import Binding
from textual.widgets import Input

_HIDDEN = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"

_EDITS = {each.action for each in Input.BINDINGS if isinstance(each, Binding)}


class Entry(Input):
    """An input of one line without a frame; its cursor stands still."""

    def __init__(self, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            placeholder=placeholder, id=id, restrict=f"[^{_HIDDEN}]*", compact=True, max_length=500
        )
        self.cursor_blink = False

    async def on_key(self, event: events.Key) -> None:
        """Do at once what a key of its own is bound to, before the next letter is taken.

        Textual lets such a key go round by the app: of backspace and 7, typed fast, the 7 came
        first, and backspace took it away again.
        """
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.node is self and active.binding.action in _EDITS:
            event.stop()
            event.prevent_default()
            await self.app.run_action(active.binding.action, self)
