"""Values as operators type and read them."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any


def parse(text: str, form: Mapping[str, Any]) -> Any:
    """Return what is meant: a value as TOML writes it; what is none is text.

    `form` is the value's JSON Schema. Where only text fits, quotes may be left out: `50` is "50".
    """
    text = text.strip()
    if form.get("type") == "string" and not text.startswith(('"', "'")):
        return text
    try:
        found = tomllib.loads(f"value = {text}")
        if len(found) == 1:
            json.dumps(found, allow_nan=False)  # no date, and no nan
            return found["value"]
    except (ValueError, TypeError, RecursionError):
        pass
    return text


def shown(value: Any) -> str:
    """Return a value so that `parse` gives it back."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def span(form: Mapping[str, Any]) -> str:
    """Return in short what fits: `0..`, `true|false`, `a|b|c`, `text`; empty if anything does."""
    kind = form.get("type")
    if "enum" in form:
        return "|".join(map(str, form["enum"]))
    if kind in ("integer", "number"):
        low, high = form.get("minimum"), form.get("maximum")
        above, below = form.get("exclusiveMinimum"), form.get("exclusiveMaximum")
        if above is not None or below is not None:
            parts = (f">{above}" if above is not None else "", f"<{below}" if below else "")
            return " ".join(part for part in parts if part)
        if low is not None or high is not None:
            return f"{'' if low is None else low}..{'' if high is None else high}"
        return "whole number" if kind == "integer" else "number"
    if kind == "array":
        of = span(form.get("items", {}))
        return f"list of {of}" if of else "list"
    return {"boolean": "true|false", "string": "text", "object": "table"}.get(str(kind), "")
