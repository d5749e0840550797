"""The line in which a filter is typed."""

from apftui.console.filter import HELP
from apftui.console.widgets.prompt import Prompt


class FilterBox(Prompt):
    """Moving on to the table keeps what was typed."""

    KEEP = ("down", "up")

    def __init__(self) -> None:
        super().__init__("/", HELP)
