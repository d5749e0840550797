"""One TOML file, and the kinds of values that settings are made of."""

import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.model.errors import SettingsError
from core.model.text import clean

Keys = tuple[str, ...]


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file. Raise SettingsError naming file, line and cure."""
    name = clean(str(path))
    text = ""
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text)
    except OSError as error:
        raise SettingsError(
            f"{name}: cannot be read: {error.strerror or error}",
            "correct its name, or make it readable for the account that runs the factory",
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{name}: byte {error.start} is not UTF-8", "save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        last = f"at the end, line {text.count(chr(10)) + 1}"
        reason = clean(str(error).replace("at end of document", last), 200)
        raise SettingsError(f"{name}: no valid TOML: {reason}", "mend that line") from error


def take_odd_values(table: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[Keys, str]]]:
    """Return `table` without the values no setting may have, and for each its keys and why."""
    problems: list[tuple[Keys, str]] = []
    kept: dict[str, Any] = {}
    for key, value in table.items():
        if why := next(_odd(key), None):
            problems.append(((clean(key, 100),), why))
        elif isinstance(value, dict):
            kept[key], below = take_odd_values(value)
            problems += [((key, *keys), why) for keys, why in below]
        elif why := next(_odd(value), None):
            problems.append(((key,), why))
        else:
            kept[key] = value
    return kept, problems


def _odd(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in (*value, *value.values()):
            yield from _odd(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _odd(item)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{value} is no number to work with"
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            yield "half a character (a lone surrogate) cannot be stored"
    elif value is None:
        yield "there is no such thing as an empty value here"
    elif not isinstance(value, bool | int):
        yield "dates and times are no settings: quote it to make it text"
