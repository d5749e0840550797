"""The operator's own job attributes and submit commands."""

import math
from collections.abc import Collection, Iterator, Mapping

from core.model.errors import SubmitRefused
from core.model.text import clean
from plugins.condor.quoting import given, identifier, string

# Statements of the language, macros that our own values are made of, other ways to set the
# environment, and what makes a schedd take jobs one by one: a submission must come in whole.
_COMMANDS = frozenset(
    {
        "queue",
        "if",
        "elif",
        "else",
        "endif",
        "cluster",
        "process",
        "getenv",
        "environment2",
        "max_materialize",
        "max_idle",
        "materialize_max_idle",
        "jobmaterializelimit",
        "jobmaterializemaxidle",
    }
)
# What our commands become in the job ad, where an attribute would replace it.
_ATTRIBUTES = frozenset(
    {
        "jobuniverse",
        "cmd",
        "iwd",
        "out",
        "err",
        "userlog",
        "environment",
        "env",
        "transferexecutable",
        "shouldtransferfiles",
        "leavejobinqueue",
        "periodicremove",
        "requirements",
        "requestcpus",
        "requestmemory",
        "requestdisk",
        "jobstatus",
        "jobmaterializelimit",
        "jobmaterializemaxidle",
    }
)


def worded(
    attributes: Mapping[str, str | int | float | bool], ours: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the lines of a submit description, as name and value; `ours` are names in use.

    `+NAME` or `My.NAME` is an attribute of the job ad: text becomes a string there, a number or a
    boolean itself. Any other name is a submit command, and its value is written as it is given:
    an expression, a list, with macros, whatever the command takes.
    Raise SubmitRefused for what is no name, is not one line, or is the factory's own.
    """
    taken = {name.lower() for name in ours}
    for key, value in attributes.items():
        what = f"attribute {clean(key, 100)}"
        if isinstance(value, float) and not math.isfinite(value):
            raise SubmitRefused(f"{what} is {value}", "write a number")
        bare = _name_in_ad(key)
        name = identifier(what, key if bare is None else bare)
        line = name if bare is None else f"My.{name}"
        reserved = _COMMANDS if bare is None else _ATTRIBUTES
        if line.lower() in taken or name.lower() in reserved or name.lower().startswith("apf"):
            raise SubmitRefused(
                f"{what} is the factory's own",
                "take it out of the queue's attributes; its table submit has what can be set",
            )
        if not isinstance(value, str):
            yield line, str(value)
        else:
            yield line, given(what, value) if bare is None else string(what, value)


def _name_in_ad(key: str) -> str | None:
    """Return NAME of +NAME or My.NAME; None for a submit command."""
    if key.startswith("+"):
        return key[1:]
    return key[3:] if key[:3].lower() == "my." else None
