"""`wrapper.yaml`: what a wrapper is for, and the parameters that a queue may set for it."""

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from core.model.errors import SettingsError
from core.model.frozen import Frozen
from core.model.text import clean
from core.settings.suggest import did_you_mean


def _passable(text: str) -> str:
    try:
        if b"\0" in text.encode():
            raise ValueError("it has a NUL in it, which no program can be given")
    except UnicodeEncodeError:
        raise ValueError("it is not valid Unicode") from None
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("it must be absolute: start with /")
    return text


Text = Annotated[StrictStr, AfterValidator(_passable)]
_TYPES: dict[str, TypeAdapter[Any]] = {
    "string": TypeAdapter(Text),
    "int": TypeAdapter(StrictInt),
    "float": TypeAdapter(Annotated[FiniteFloat, Field(strict=True)]),
    "bool": TypeAdapter(StrictBool),
    "path": TypeAdapter(Annotated[Text, AfterValidator(_absolute)]),
    "strings": TypeAdapter(list[Text]),
}
_SAMPLES: dict[str, Any] = {
    "string": "sample",
    "int": 1,
    "float": 1.0,
    "bool": True,
    "path": "/sample",
    "strings": ["sample"],
}


class Parameter(Frozen):
    """What a queue may set in `wrapper_parameters`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    type: Literal["string", "int", "float", "bool", "path", "strings"]
    help: str
    required: bool = False
    default: Any = None
    from_: Annotated[str | None, Field(alias="from")] = None
    """Where a default is taken from first: factory, queue, wms_queue, resource_type or wms.KEY."""

    @model_validator(mode="after")
    def _default_fits(self) -> "Parameter":
        if self.default is not None:
            self.checked(self.default)
        return self

    def checked(self, value: Any) -> Any:
        """Return `value` as the template gets it. Raise ValueError if it has another type."""
        try:
            return _TYPES[self.type].validate_python(value)
        except ValidationError as error:
            says = error.errors()[0]["msg"].removeprefix("Value error, ")
            # YAML's aliases make a few lines into more than can be written out.
            told = clean(repr(value) if isinstance(value, str) else reprlib.repr(value), 80)
            raise ValueError(f"{told} is no {self.type}: {says}") from None


class Manifest(Frozen):
    """A wrapper's `wrapper.yaml`."""

    name: str
    summary: str
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], Parameter] = {}

    def values(self, given: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the template's values: those given, else from the context, else the defaults.

        Raise SettingsError naming parameter and cure.
        """
        for key in given:
            if key not in self.parameters:
                cure = did_you_mean(key, self.parameters, "it has")
                raise SettingsError(f"wrapper {self.name} has no parameter {clean(key, 80)}", cure)
        return {key: self._value(key, given, context) for key in self.parameters}

    def _value(self, key: str, given: Mapping[str, Any], context: Mapping[str, Any]) -> Any:
        parameter = self.parameters[key]
        value = given.get(key)
        if value is None:
            value = _from(context, parameter.from_)
        if value is None:
            value = parameter.default
        if value is None and parameter.required:
            raise SettingsError(
                f"wrapper {self.name} needs its parameter {key}: {clean(parameter.help, 200)}",
                f"set wrapper_parameters.{key}",
            )
        try:
            return None if value is None else parameter.checked(value)
        except ValueError as error:
            raise SettingsError(f"wrapper {self.name}: {key}: {error}") from None

    def samples(self) -> dict[str, Any]:
        """Return values to try a template with that no queue uses yet."""
        return {
            key: _SAMPLES[p.type] if p.default is None else p.default
            for key, p in self.parameters.items()
        }


def read_manifest(text: str, name: str, where: str) -> Manifest:
    """Read the text of a `wrapper.yaml`. Raise SettingsError with `where` and the cure."""
    try:
        manifest = Manifest.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors()[0]
        place = clean(".".join(map(str, first["loc"])), 200)
        raise SettingsError(f"{where}: {place}: {clean(first['msg'])}") from None
    # ValueError: a date that is none, a number with too many digits.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"cannot read {where}: {clean(str(error))}") from None
    if manifest.name != name:
        raise SettingsError(f"{where}: name is {clean(manifest.name, 80)}", f"write {name}")
    return manifest


def _from(context: Mapping[str, Any], name: str | None) -> Any:
    if name is None:
        return None
    value: Any = context
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
