"""Dotted keys as TOML writes them: `sched.max-pending.maximum`, `attributes."my key"`."""

import re
import tomllib
from collections.abc import Sequence

from core.model.errors import SettingsError
from core.model.text import clean

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = {'"': '\\"', "\\": "\\\\"}


def dotted(parts: Sequence[str]) -> str:
    """Join `parts`; one that is no bare TOML key is quoted, with nothing unprintable left in it."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in parts)


def split(key: str) -> tuple[str, ...]:
    """Return the parts of a dotted key. Raise SettingsError if it is not written as by `dotted`."""
    try:
        found = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError) as error:
        raise SettingsError(
            f"{clean(key, 200)!r} is no key", "write it as in sched.max-pending.maximum"
        ) from error
    parts: list[str] = []
    node: object = found
    while isinstance(node, dict) and len(node) == 1:
        part, node = next(iter(node.items()))
        parts.append(part)
    if dotted(parts) != key:
        raise SettingsError(f"{clean(key, 200)!r} is no key", f"did you mean {dotted(parts)}?")
    return tuple(parts)


def _quoted(part: str) -> str:
    return '"' + "".join(_ESCAPED.get(c) or _visible(c) for c in part) + '"'


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
