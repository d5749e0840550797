"""How a value is written in a submit description so that it arrives as it is.

The submit language expands macros, `$(NAME)` and `$FUNCTION(...)`, and reads strings in the old
syntax of ClassAds: a backslash is itself, only `\\"` is a quote. classad2.quote writes the new
syntax; its escapes would arrive as backslashes and letters. What cannot be said is refused.
"""

import re
from collections.abc import Mapping

from core.model.errors import SubmitRefused
from core.model.text import clean

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NOT_ON_A_LINE = re.compile(r"[\n\r\0\ud800-\udfff]")
_MACRO = re.compile(r"\$(?=\w*\()")
_DOLLAR = re.compile(r"\$\(DOLLAR\b", re.IGNORECASE)
_CURE = "change it in the queue's settings"


def identifier(what: str, name: str) -> str:
    """Return `name` if it is one. Raise SubmitRefused naming `what`."""
    if not _NAME.fullmatch(name):
        raise SubmitRefused(f"{what} is no name", "use letters, digits and _, no digit first")
    return name


def given(what: str, value: str) -> str:
    """Return `value` as it is: an expression, or what a command takes, with macros.

    Raise SubmitRefused naming `what` if it is more than one line.
    """
    if value.rstrip().endswith("\\"):
        raise SubmitRefused(f"{what} ends with a backslash, which joins the next line", _CURE)
    return _line(what, value)


def literal(what: str, value: str) -> str:
    """Return `value` with no macro in it. Raise SubmitRefused naming `what`."""
    _line(what, value)
    if "$$" in value:
        # Expanded when the job starts. One that cannot be expanded can crash a schedd (23.9).
        raise SubmitRefused(f"{what} has $$, which HTCondor expands when the job starts", _CURE)
    if _DOLLAR.search(value):
        raise SubmitRefused(f"{what} has $(DOLLAR), which HTCondor always expands", _CURE)
    return _MACRO.sub("$(DOLLAR)", value)


def path(what: str, value: str) -> str:
    """Return a path with no macro in it. Raise SubmitRefused naming `what`."""
    if value != value.strip():
        raise SubmitRefused(f"{what} {value!r} begins or ends with a blank", "rename it")
    return literal(what, given(what, value))


def string(what: str, value: str) -> str:
    """Return `value` as a string of a job ad. Raise SubmitRefused naming `what`."""
    return '"' + literal(what, value).replace('"', '\\"') + '"'


def environment(variables: Mapping[str, str]) -> str:
    """Return the value of the command `environment`; macros in `variables` are expanded."""
    words = " ".join(
        "{}='{}'".format(name, value.replace("'", "''")) for name, value in variables.items()
    )
    return '"' + words.replace('"', '""') + '"'


def _line(what: str, value: str) -> str:
    if bad := _NOT_ON_A_LINE.search(value):
        raise SubmitRefused(f"{what} has {clean(bad[0])}, which HTCondor cannot take", _CURE)
    return value
