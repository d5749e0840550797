"""One line to type into. Takes nothing that a terminal could take for an order."""

from textual.widgets import Input

_HIDDEN = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"


class Entry(Input):
    """An input of one line without a frame; its cursor stands still."""

    def __init__(self, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            placeholder=placeholder, id=id, restrict=f"[^{_HIDDEN}]*", compact=True, max_length=500
        )
        self.cursor_blink = False
