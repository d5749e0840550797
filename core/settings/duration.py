"""Durations as people write them: `90s`, `6m`, `2h`, `1d`, or a bare number of seconds."""

import re

_UNIT = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])?")


def seconds(value: object) -> object:
    """Return seconds for `"6m"` and the like; anything else is left for pydantic to judge.

    Raise ValueError for text that is no duration.
    """
    if not isinstance(value, str):
        return value
    match = _FORM.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no duration: write 90s, 6m, 2h or 1d")
    return float(match[1]) * _UNIT[match[2] or "s"]
