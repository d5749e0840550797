"""Where a wrapper's template is edited."""

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document import EditResult
from textual.document._edit import Edit
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from core.model.text import visible

HIGHLIGHTED = 1000
"""Lines; with more of them the highlighting of each key takes longer than one should wait."""
_OURS = {"f6", "f7", "home,ctrl+a", "end,ctrl+e", "ctrl+c,super+c"}
_CALM = TextAreaTheme(
    name="calm",
    syntax_styles={
        "comment": Style(color="#75808c", italic=True),
        "keyword": Style(color="#82aad0", bold=True),
        "string": Style(color="#9fb8a0"),
        "function": Style(color="#c9d0d8", bold=True),
        "property": Style(color="#b9a8cc"),
        "number": Style(color="#9ca6b1"),
        "operator": Style(color="#9ca6b1"),
        "embedded": Style(color="#b9a8cc"),
        "constant": Style(color="#9ca6b1"),
    },
)


class Editor(TextArea, inherit_bindings=False):
    """Bash, highlighted. Takes nothing that a terminal could take for an order."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(b for b in TextArea.BINDINGS if isinstance(b, Binding) and b.key not in _OURS),
        Binding("home,ctrl+a", "cursor_line_start", show=False),
        Binding("end", "cursor_line_end", show=False),
        Binding("tab", "indent", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=False,
            show_line_numbers=True,
            compact=True,
            tab_behavior="focus",  # or Escape would not leave it
            max_checkpoints=500,
        )
        self.cursor_blink = False
        self.register_theme(_CALM)
        self.theme = _CALM.name

    def edit(self, edit: Edit) -> EditResult:
        """Every change comes by here: typed, pasted, or put back by undo."""
        edit.text = visible(edit.text)
        return super().edit(edit)

    def take(self, event: events.Key | events.Paste) -> bool:
        """Do at once what is typed or pasted; return False for a key that is no text.

        Textual would do it some messages later, after keys that came behind it.
        """
        if isinstance(event, events.Paste):
            text = event.text
        elif event.key == "enter" or event.is_printable:
            text = "\n" if event.key == "enter" else event.character or ""
        else:
            return False
        if self.read_only:
            return False
        self.replace(text, *self.selection, maintain_selection_offset=False)
        return True

    def load(self, text: str) -> None:
        """Show another text; what was there before cannot be undone to."""
        text, here = visible(text), self.cursor_location
        self.language = "bash" if text.count("\n") < HIGHLIGHTED else None
        self.load_text(text)
        if self.display:  # what is hidden has no room, and would scroll to show the cursor
            self.move_cursor(here)

    def go_to_line(self, line: int) -> None:
        """Put the cursor on a line, counted from 1."""
        self.move_cursor((max(0, min(line, self.document.line_count) - 1), 0), center=True)

    def action_indent(self) -> None:
        if not self.read_only:
            self.insert("    ")
