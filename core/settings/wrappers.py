"""Wrappers: a manifest and a template become one self-contained script.

`<folder>/<name>/wrapper.yaml` declares the parameters, `<folder>/<name>/wrapper.sh` is the
template. It takes values in its first lines only, among comments and blank lines, as
`name=@{ parameter }@` or, for a list, `name=(@{ parameter }@)`: there every value is one shell
word that nothing evaluates, and the rest of the template is bash that knows it as `$name`.
`#%` starts a line for jinja2: `#% include "steps/report_node.sh"`.
"""

import hashlib
import os
import re
import shlex
import tempfile
from collections.abc import Mapping
from functools import reduce
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import truediv
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from jinja2 import FunctionLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.loaders import split_template_path
from jinja2.sandbox import ImmutableSandboxedEnvironment
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

MANIFEST, TEMPLATE = "wrapper.yaml", "wrapper.sh"
_VALUE = re.compile(r"[A-Za-z_]\w*=(?:@\{ (?P<word>\w+) \}@|\(@\{ (?P<words>\w+) \}@\))")


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
            raise ValueError(f"{clean(repr(value), 80)} is no {self.type}: {says}") from None


class Manifest(Frozen):
    """A wrapper's `wrapper.yaml`."""

    name: str
    summary: str
    parameters: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")], Parameter] = {}


class Rendered(Frozen):
    """A script that is ready to be submitted."""

    name: str
    text: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Named after its content: gatekeepers keep executables by name."""
        return f"{self.name}-{self.sha256[:16]}.sh"


class Library:
    """All wrappers: those of the operator's folder `own`, then those that are shipped.

    Each file is read once; make a new Library to see changes.
    """

    def __init__(self, own: Path | None = None) -> None:
        shipped: Traversable = files("wrappers")
        self._folders: list[Traversable] = [shipped] if own is None else [own, shipped]
        self._found: dict[str, Traversable] = {}
        self._manifests: dict[str, Manifest] = {}
        self._jinja = ImmutableSandboxedEnvironment(
            # Not bash: ${#x} and {{ }} stand in scripts.
            block_start_string="<%",
            block_end_string="%>",
            variable_start_string="@{",
            variable_end_string="}@",
            comment_start_string="<#",
            comment_end_string="#>",
            line_statement_prefix="#%",
            keep_trailing_newline=True,
            undefined=StrictUndefined,
            finalize=_shell,
            loader=FunctionLoader(self._load),
            auto_reload=False,
            cache_size=-1,
        )

    def names(self) -> list[str]:
        """Return the names of all wrappers."""
        found = {
            entry.name
            for folder in self._folders
            if folder.is_dir()
            for entry in folder.iterdir()
            if (entry / MANIFEST).is_file()
        }
        return sorted(found)

    def manifest(self, name: str) -> Manifest:
        """Return what a wrapper takes. Raise SettingsError naming file and cure."""
        if name not in self._manifests:
            self._manifests[name] = _read_manifest(self._folder_of(name), name)
        return self._manifests[name]

    def render(
        self, name: str, parameters: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Rendered:
        """Fill in a wrapper: same input, same bytes.

        `context` has factory, queue, wms_queue, resource_type, and `wms`, the queue's WMS table.
        Raise SettingsError naming wrapper, parameter or line, and cure.
        """
        values = _values(self.manifest(name), parameters, context)
        where = self._folder_of(name) / TEMPLATE
        try:
            text = self._template(name).render(values)
        except TemplateSyntaxError as error:
            place = f"{error.filename or where}:{error.lineno}"
            raise SettingsError(f"{place}: {error.message}") from None
        except TemplateError as error:
            raise SettingsError(f"{where}: {error.message}") from None
        return Rendered(name=name, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())

    def _template(self, name: str) -> Template:
        return self._jinja.get_template(f"{name}/{TEMPLATE}")

    def _folder_of(self, name: str) -> Traversable:
        if name not in self._found:
            names = self.names()
            if name not in names:
                cure = did_you_mean(name, names, "there are")
                raise SettingsError(f"there is no wrapper {clean(name, 80)}", cure)
            places = (folder / name for folder in self._folders)
            self._found[name] = next(place for place in places if (place / MANIFEST).is_file())
        return self._found[name]

    def _load(self, name: str) -> tuple[str, str, None] | None:
        parts = split_template_path(name)
        if parts[1:] == [TEMPLATE]:
            manifest = self.manifest(parts[0])
            places = [self._folder_of(parts[0]) / TEMPLATE]
        else:
            manifest = None
            # MultiplexedPath of Python 3.11 joins one name at a time.
            places = [reduce(truediv, parts, folder) for folder in self._folders]
        for place in places:
            if place.is_file():
                source = place.read_text(encoding="utf-8")
                _check_values(source, str(place), manifest.parameters if manifest else {})
                return source, str(place), None
        return None


def write(rendered: Rendered, folder: Path) -> Path:
    """Put a script into `folder` under its own name, executable for everybody; return its path.

    A file with the right content is left alone, any other is replaced in one step.
    """
    path = folder / rendered.file_name
    content = rendered.text.encode()
    try:
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == 0o755:
            return path
    except FileNotFoundError:
        folder.mkdir(parents=True, exist_ok=True)
    # Not executable before it is whole; nobody else can name it.
    fd, draft = tempfile.mkstemp(prefix=f".{rendered.name}-", dir=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, 0o755)
            os.fsync(fd)
        Path(draft).rename(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


def _read_manifest(folder: Traversable, name: str) -> Manifest:
    where = folder / MANIFEST
    try:
        manifest = Manifest.model_validate(yaml.safe_load(where.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(f"{where}: {place}: {clean(first['msg'])}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read {where}: {clean(str(error))}") from None
    if manifest.name != name:
        raise SettingsError(f"{where}: name is {clean(manifest.name, 80)}", f"write {name}")
    return manifest


def _values(
    manifest: Manifest, given: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    for key in given:
        if key not in manifest.parameters:
            cure = did_you_mean(key, manifest.parameters, "it has")
            problem = f"wrapper {manifest.name} has no parameter {clean(key, 80)}"
            raise SettingsError(problem, cure)
    values: dict[str, Any] = {}
    for key, parameter in manifest.parameters.items():
        value = given.get(key)
        if value is None:
            value = _from(context, parameter.from_)
        if value is None:
            value = parameter.default
        if value is None and parameter.required:
            raise SettingsError(
                f"wrapper {manifest.name} needs its parameter {key}: {parameter.help}",
                f"set wrapper_parameters.{key}",
            )
        try:
            values[key] = None if value is None else parameter.checked(value)
        except ValueError as error:
            raise SettingsError(f"wrapper {manifest.name}: {key}: {error}") from None
    return values


def _from(context: Mapping[str, Any], name: str | None) -> Any:
    if name is None:
        return None
    value: Any = context
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _check_values(source: str, where: str, parameters: Mapping[str, Parameter]) -> None:
    """Refuse a value where the shell could make more of it than one word, or one list of words."""
    in_head = True
    for number, line in enumerate(source.splitlines(), 1):
        match = _VALUE.fullmatch(line)
        if "@{" not in line:
            in_head = in_head and (not line.strip() or line.startswith("#"))
        elif match is None or not in_head:
            raise SettingsError(
                f"{where}:{number}: a value stands where the shell could evaluate it",
                "take it in the first lines of wrapper.sh, as name=@{ parameter }@",
            )
        else:
            name = match["word"] or match["words"]
            if name not in parameters:
                cure = did_you_mean(name, parameters, "the manifest has")
                raise SettingsError(f"{where}:{number}: unknown parameter {name}", cure)
            if match["word"] and parameters[name].type == "strings":
                raise SettingsError(
                    f"{where}:{number}: {name} is a list", f"write it as {name}=(@{{ {name} }}@)"
                )


def _shell(value: Any) -> str:
    """Word a value for bash. Every output of every template goes through this."""
    if isinstance(value, list):
        return " ".join(_quoted(str(each)) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else _quoted(str(value))


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    # Byte by byte: the same in every locale, on one line, and nothing in it moves a terminal.
    printable = {byte: chr(byte) for byte in range(0x20, 0x7F)} | {0x27: r"\'", 0x5C: r"\\"}
    return "$'" + "".join(printable.get(b, f"\\x{b:02x}") for b in text.encode()) + "'"
