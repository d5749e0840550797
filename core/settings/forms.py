"""Forms: what JSON Schema says of each single value of a table of parameters."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

Form = dict[str, Any]
"""JSON Schema of one value, whole in itself; `unit` is our own word."""


_REPLACED = ("$defs", "$ref", "anyOf", "allOf", "title")


@cache
def forms(model: type[BaseModel]) -> Mapping[tuple[str, ...], Form]:
    """Return a form for each value that the model takes; tables in it have no form but keys.

    A table with keys of any name is one form of type `object`.
    """
    schema = model.model_json_schema(by_alias=True)
    return dict(_leaves(_whole(schema, schema.get("$defs", {})), ()))


def _leaves(schema: Form, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Form]]:
    for key, form in schema.get("properties", {}).items():
        if "properties" in form:
            yield from _leaves(form, (*above, key))
        else:
            yield (*above, key), form


def _whole(schema: Any, definitions: Mapping[str, Any]) -> Form:
    """Put what is referred to in its place, and leave out titles, and null as a choice."""
    if not isinstance(schema, dict):
        return {}
    rest = {k: v for k, v in schema.items() if k not in _REPLACED and (k, v) != ("default", None)}
    if "properties" in rest:
        rest["properties"] = {k: _whole(v, definitions) for k, v in rest["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in rest:
            rest[key] = _whole(rest[key], definitions)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        # A model within itself ends here: no table of settings is that deep.
        inner = {k: v for k, v in definitions.items() if k != name}
        return _whole(definitions.get(name, {}), inner) | rest
    choices = [
        _whole(choice, definitions)
        for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ()))
        if choice != {"type": "null"}
    ]
    if len(choices) == 1:
        return choices[0] | rest
    return rest | ({"anyOf": choices} if choices else {})
