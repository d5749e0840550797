"""`wrapper.sh`: jinja2 for includes and conditions, values as whole shell words in the first lines.

A template takes values among the comments and blank lines that it begins with, as
`name=@{ parameter }@` or, for a list, `name=(@{ parameter }@)`: there every value is one shell
word that nothing evaluates, and the rest of the template is bash that knows it as `$name`.
`#%` starts a line for jinja2: `#% include "steps/report_node.sh"`.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple

from jinja2 import (
    Environment,
    FunctionLoader,
    StrictUndefined,
    TemplateSyntaxError,
    nodes,
)
from jinja2.exceptions import TemplateNotFound
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.loaders import split_template_path
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.model.errors import SettingsError
from core.model.text import clean
from core.settings.manifest import Manifest, Parameter
from core.settings.suggest import did_you_mean

_CONDITIONS = (
    *(nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Const, nodes.List, nodes.Tuple),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Test),
)
"""With loops, filters and arithmetic a draft could keep the factory busy or eat its memory, and
a filtered block would carry a value past its quotes."""

TEMPLATE, MANIFEST, VERSION = "wrapper.sh", "wrapper.yaml", "version.toml"
_VALUE = re.compile(r"[A-Za-z_]\w*=(?:@\{ (?P<word>\w+) \}@|\(@\{ (?P<words>\w+) \}@\))")


class Source(NamedTuple):
    """One file's text, and where it is, for a person."""

    text: str
    where: str


class Origin(NamedTuple):
    """The line of a file that a line of the script was made from."""

    file: str
    line: int


class Outline(NamedTuple):
    """A script without its values, and where each of its lines comes from.

    Scripts with the same outline differ in their values alone, which are quoted words.
    """

    text: str
    origins: tuple[Origin, ...]


class Flaw(SettingsError):
    """What is wrong with a template. `file` is `wrapper.sh` or what it includes."""

    def __init__(
        self, text: str, cure: str = "", *, where: str, file: str, line: int | None = None
    ) -> None:
        super().__init__(f"{where}:{line}: {text}" if line else f"{where}: {text}", cure)
        self.text = text
        self.file = file
        self.line = line


class Template:
    """A template with all that it includes, ready to be filled in."""

    def __init__(self, files: Mapping[str, Source], manifest: Manifest) -> None:
        """Raise Flaw with file and line if anything is wrong with it."""
        self._files = files
        for file, source in files.items():
            parameters = manifest.parameters if file == TEMPLATE else {}
            check_source(file, source, parameters)
        self._render = _compiled(files, _shell)

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill it in. Raise Flaw."""
        return self._filled_in(self._render, values)

    def outline(self, values: Mapping[str, Any]) -> Outline:
        """Return what `render` returns, without the values and line by line with its origin."""
        marked = self._filled_in(self._render_marked, values)
        found: list[Origin] = []
        for line in marked.split("\n"):
            mark = _MARK.search(line)
            last = found[-1] if found else Origin(TEMPLATE, 1)
            found.append(Origin(mark["file"], int(mark["line"])) if mark else last)
        return Outline(_MARK.sub("", marked), tuple(found))

    @cached_property
    def _render_marked(self) -> Callable[[Mapping[str, Any]], str]:
        return _compiled(self._files, lambda value: "", [_Marks])

    def _filled_in(self, render: Callable[[Mapping[str, Any]], str], values: Any) -> str:
        try:
            return render(values)
        except SettingsError:
            raise
        except Exception as error:  # a template's expression may raise anything
            places = {source.where: file for file, source in self._files.items()}
            file, line = _place(error.__traceback__, places)
            raise Flaw(
                clean(str(error), 300), where=self._files[file].where, file=file, line=line
            ) from None


def check_source(file: str, source: Source, parameters: Mapping[str, Parameter]) -> None:
    """Refuse what moves a terminal, and values that the shell could make more of than words."""
    lines = source.text.split("\n")
    for number, line in enumerate(lines, 1):
        strange = next((c for c in line if not c.isprintable() and c != "\t"), None)
        if strange is not None:
            raise Flaw(
                f"the character {clean(strange)} does not show and may move a terminal",
                "take it out; a line ends with a line feed alone",
                where=source.where,
                file=file,
                line=number,
            )
    _check_values(file, source.where, lines, parameters)


def includes(file: str, source: Source) -> Iterator[tuple[str, int]]:
    """Yield the files that one includes, with the lines where. Raise Flaw."""
    try:
        tree = _environment(_shell).parse(source.text)
    except TemplateSyntaxError as error:
        raise _syntax(error, file, source.where) from None
    for node in tree.find_all(nodes.Node):
        if isinstance(node, _CONDITIONS):
            continue
        if not isinstance(node, nodes.Include):
            text = f"{type(node).__name__} is neither an include nor a condition"
            cure = "leave it to bash, or write #% if or #% include"
            raise Flaw(text, cure, where=source.where, file=file, line=node.lineno)
        if not (isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)):
            text, cure = "an include must say which file", "write its name in quotes"
            raise Flaw(text, cure, where=source.where, file=file, line=node.lineno)
        try:
            parts = split_template_path(node.template.value)
        except TemplateNotFound:
            parts = []
        if node.template.value != "/".join(parts) or parts in ([TEMPLATE], [MANIFEST], [VERSION]):
            text = f"{clean(node.template.value, 100)} is no file that can be included"
            raise Flaw(
                text, "name it as in steps/NAME.sh", where=source.where, file=file, line=node.lineno
            )
        yield node.template.value, node.lineno


def _environment(
    finalize: Callable[[Any], str],
    load: Callable[[str], tuple[str, str, None] | None] = lambda name: None,
    extensions: Iterable[type[Extension]] = (),
) -> Environment:
    return ImmutableSandboxedEnvironment(
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
        finalize=finalize,
        loader=FunctionLoader(load),
        auto_reload=False,
        cache_size=-1,
        extensions=[*extensions],
    )


def _compiled(
    files: Mapping[str, Source],
    finalize: Callable[[Any], str],
    extensions: Iterable[type[Extension]] = (),
) -> Callable[[Mapping[str, Any]], str]:
    def load(name: str) -> tuple[str, str, None] | None:
        source = files.get(name)
        return None if source is None else (source.text, source.where, None)

    try:
        return _environment(finalize, load, extensions).get_template(TEMPLATE).render
    except TemplateSyntaxError as error:
        raise _syntax(error, TEMPLATE, files[TEMPLATE].where) from None


_MARK = re.compile("\0(?P<file>[^\0]*)\0(?P<line>[0-9]+)\0")
"""No template may hold a NUL."""


class _Marks(Extension):
    """Says before each piece of text where it stands."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for token in stream:
            if token.type != "data":
                yield token
                continue
            lines = token.value.split("\n")
            marked = (
                f"\0{stream.name}\0{token.lineno + i}\0{line}" if line or i < len(lines) - 1 else ""
                for i, line in enumerate(lines)
            )
            yield Token(token.lineno, "data", "\n".join(marked))


def _syntax(error: TemplateSyntaxError, file: str, where: str) -> Flaw:
    return Flaw(clean(error.message or ""), where=where, file=file, line=error.lineno)


def _place(trace: TracebackType | None, places: Mapping[str, str]) -> tuple[str, int | None]:
    """Return the file and line of a template that an exception came through last."""
    found: tuple[str, int | None] = (TEMPLATE, None)
    while trace is not None:
        file = places.get(trace.tb_frame.f_code.co_filename)
        found = (file, trace.tb_lineno) if file is not None else found
        trace = trace.tb_next
    return found


def _check_values(
    file: str, where: str, lines: list[str], parameters: Mapping[str, Parameter]
) -> None:
    in_head = True
    for number, line in enumerate(lines, 1):
        match = _VALUE.fullmatch(line)
        if "@{" not in line:
            in_head = in_head and (not line.strip() or line.startswith("#"))
        elif match is None or not in_head:
            raise Flaw(
                "a value stands where the shell could evaluate it",
                "take it in the first lines of wrapper.sh, as name=@{ parameter }@",
                where=where,
                file=file,
                line=number,
            )
        else:
            name = match["word"] or match["words"]
            if name not in parameters:
                cure = did_you_mean(name, parameters, "the manifest has")
                text = f"unknown parameter {name}"
                raise Flaw(text, cure, where=where, file=file, line=number)
            if match["word"] and parameters[name].type == "strings":
                text, cure = f"{name} is a list", f"write it as {name}=(@{{ {name} }}@)"
                raise Flaw(text, cure, where=where, file=file, line=number)


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
