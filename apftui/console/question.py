"""What is asked before anything is changed, and what was answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from apftui.console.widgets.paint import Line
from core.api.client import Client
from core.api.models import Preview

PREVIEW_S = 30.0
"""A step that hangs is waited for twice: with the settings as they are, and as they would be."""


class Answer(NamedTuple):
    """The operator's word."""

    why: str = ""
    until: float | None = None
    """Unix time."""


@dataclass(frozen=True)
class Question:
    """Whether something is to be done."""

    title: str
    verb: str
    """On the button that does it."""
    do: Callable[[Client, Answer], Awaitable[str]]
    """Does it, and returns what it came to."""
    about: tuple[Line, ...] = ()
    """What it is done to. The last part of a line may be broken; too many lines are counted."""
    effect: str = ""
    """What will happen, in words."""
    reason: str = ""
    """What stands in the empty line for the reason; "" asks for none."""
    required: bool = False
    """Without a reason it is not done."""
    lasting: bool = False
    """It may end by itself, and how soon is asked."""
    count: int = 1
    """How many are meant: more than one are typed."""
    preview: Callable[[Client], Awaitable[Preview]] | None = None
