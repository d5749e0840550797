"""A table judged by a pydantic model, and the verdict in words for a person."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.model.text import clean
from core.settings.keys import dotted
from core.settings.suggest import did_you_mean

M = TypeVar("M", bound=BaseModel)

_CURE = {
    "int_type": "write a whole number, without quotes",
    "int_from_float": "write a whole number",
    "float_type": "write a number, without quotes",
    "bool_type": "write true or false",
    "string_type": "put it in quotes",
    "list_type": 'write a list: ["a", "b"]',
    "tuple_type": 'write a list: ["a", "b"]',
    "dict_type": "write it as a table",
    "model_type": "write it as a table",
}


class Fault(NamedTuple):
    """What is wrong with one key of a table; without keys, with the table as a whole."""

    keys: tuple[str, ...]
    before: str
    after: str
    """What is said before and after the key's name."""
    cure: str
    kind: str
    """pydantic's name of it: `missing`, `extra_forbidden`, ..."""

    def text(self, above: int = 0) -> str:
        """Return what is wrong; `above` keys are left out, for they are named by the table."""
        return f"{self.before}{dotted(self.keys[above:])}{self.after}"


def judge(
    model: type[M], table: Mapping[str, Any], also: Iterable[str] = ()
) -> tuple[M | None, tuple[Fault, ...]]:
    """Return the validated model, or what is wrong. `also`: more right names to suggest.

    Values must have the type that the file gives them: `"50"`, `50.5` and `true` are no 50.
    """
    try:
        # TOML's values are JSON's. Strict JSON takes a list for a tuple and text for a path, but
        # never text for a number.
        return model.model_validate_json(json.dumps(table), strict=True), ()
    except ValidationError as error:
        return None, tuple(_fault(model, details, also) for details in error.errors())


def anchored(model: type[BaseModel], table: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return `table` with the paths among its values made absolute: they start at `base`."""
    absolute = dict(table)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if isinstance(value := table.get(key), str) and _is_path(field.annotation):
            absolute[key] = str(base / _expanded(value))
    return absolute


def names_of(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys that a model knows."""
    for name, field in model.model_fields.items():
        yield field.alias or name


def shown(value: object) -> str:
    """Return a value for a message, much as TOML writes it."""
    return clean(json.dumps(value, ensure_ascii=False, default=str), 80)


def _fault(model: type[BaseModel], details: ErrorDetails, also: Iterable[str]) -> Fault:
    keys = tuple(str(part) for part in details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        inner = _model_at(model, keys[:-1])
        names = {*names_of(inner), *(also if len(keys) == 1 else ())} if inner else set()
        cure = did_you_mean(keys[-1], names) if names else "remove it"
        return Fault(keys, "unknown key ", "", cure, kind)
    if kind == "missing":
        return Fault(keys, "", " is missing", f"set {dotted(keys[-1:])}", kind)
    said = clean(details["msg"].removeprefix("Value error, ").removeprefix("Input "), 300)
    value = f" = {shown(details['input'])}: " if keys else ""
    return Fault(keys, "", f"{value}{said}", _CURE.get(kind, ""), kind)


def _model_at(model: type[BaseModel], keys: Iterable[str]) -> type[BaseModel] | None:
    """Return the model of a table inside the table."""
    for key in keys:
        fields = {
            field.alias or name: field.annotation for name, field in model.model_fields.items()
        }
        inner = fields.get(key)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return None
        model = inner
    return model


def _is_path(annotation: object) -> bool:
    return Path in (annotation, *get_args(annotation))


def _expanded(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError:  # no such user: a folder that really is called ~name
        return Path(value)
