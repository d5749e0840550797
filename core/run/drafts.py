"""Drafts of wrappers, tried on the queues that would get them; nothing is written or run."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import anyio.to_thread
from pydantic import Field

from core.model.errors import SettingsError
from core.model.frozen import Frozen
from core.model.text import clean
from core.run.generation import wrapper_context
from core.run.syntax import syntax_errors
from core.settings.schema import Settings
from core.settings.template import MANIFEST, TEMPLATE, Flaw, Origin, Outline
from core.settings.wrappers import Content, Library, Rendered, Wrapper

_LONGEST = 256 * 1024
_BASH = re.compile(r"#!\s*(/\S*/bash|/\S*/env\s+bash)(\s.*)?")


class Draft(Frozen):
    """A version of a wrapper, with another template, manifest or both."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    version: str = ""
    """What it started from, and whose included files it keeps; "" is the one that counts."""
    template: str | None = Field(default=None, max_length=_LONGEST)
    manifest: str | None = Field(default=None, max_length=_LONGEST)


class Fault(Frozen):
    """Why a draft cannot be published."""

    text: str
    cure: str = ""
    file: str = ""
    """`wrapper.sh`, or what it includes; "" if it is no line's fault."""
    line: int | None = None
    queues: tuple[str, ...] = ()
    """Those that have it, if not all that use the wrapper have."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        whose = f"queue {self.queues[0]}: " if self.queues else ""
        n = len(self.queues) - 1
        others = f" (and {n} more queue{'s' if n > 1 else ''})" if n > 0 else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{whose}{place}{self.text}{others}{cure}"


class Tried(NamedTuple):
    """A draft as all queues that use the wrapper would get it."""

    content: Content
    faults: tuple[Fault, ...]
    rendered: Mapping[str, Rendered]
    """By queue."""


class _Script(NamedTuple):
    text: str
    origins: tuple[Origin, ...]


async def try_out(settings: Settings, draft: Draft) -> Tried:
    """Render a draft for every queue that uses it, and let bash read each kind of script.

    One that no queue uses is rendered with sample values. Raise SettingsError if the draft's
    base cannot be had.
    """
    tried, scripts = await anyio.to_thread.run_sync(_render_all, settings, draft)
    faults = list(tried.faults)
    for script in scripts:
        for said in await syntax_errors(script.text):
            origin = script.origins[min(said.line, len(script.origins)) - 1]
            faults.append(Fault(text=said.text, file=origin.file, line=origin.line))
    return tried._replace(faults=tuple(dict.fromkeys(faults)))


def render_one(settings: Settings, draft: Draft, queue: str) -> Rendered:
    """Return what a queue would get; for "" with sample values. Raise SettingsError."""
    library = Library.of(settings.factory)
    wrapper = Wrapper(library.draft(draft.name, draft.version, draft.template, draft.manifest))
    if not queue:
        return wrapper.rendered(wrapper.manifest.samples())
    found = settings.queues.get(queue)
    if found is None:
        raise SettingsError(f"there is no queue {clean(queue, 200)}", "see `apftui queue list`")
    return wrapper.render(found.wrapper_parameters, wrapper_context(settings, found))


def users(settings: Settings, name: str) -> list[str]:
    """Return the queues that use a wrapper."""
    return sorted(n for n, queue in settings.queues.items() if queue.wrapper == name)


def difference(before: Content | None, after: Content | None) -> list[str]:
    """Return what differs between two versions, as a unified diff, line by line."""
    told: list[str] = []
    old, new = (side.files if side is not None else {} for side in (before, after))
    for path in sorted({**old, **new}):
        a, b = (side[path].text.splitlines() if path in side else [] for side in (old, new))
        told += difflib.unified_diff(a, b, f"before/{path}", f"after/{path}", lineterm="")
    return [clean(line.replace("\t", "    ")) for line in told]


def _render_all(settings: Settings, draft: Draft) -> tuple[Tried, list[_Script]]:
    library = Library.of(settings.factory)
    try:
        content = library.draft(draft.name, draft.version, draft.template, draft.manifest)
        wrapper = Wrapper(content)
        template = wrapper.template
    except SettingsError as error:
        nothing = Content(draft.name, "", {})
        return Tried(nothing, (_fault(error),), {}), []
    faults = list(_no_bash(content))
    rendered: dict[str, Rendered] = {}
    refused: dict[Fault, list[str]] = {}
    scripts: dict[Outline, _Script] = {}
    names = users(settings, draft.name)
    for values, name in _values(settings, wrapper, names, refused):
        try:
            made = wrapper.rendered(values)
            outline = template.outline(values)
        except Flaw as flaw:
            refused.setdefault(_fault(flaw), []).append(name)
            continue
        rendered[name] = made
        scripts.setdefault(outline, _Script(made.text, outline.origins))
    for fault, those in refused.items():
        some = () if len(those) == len(names) and fault.line else tuple(those)
        faults.append(fault.model_copy(update={"queues": tuple(filter(None, some))}))
    rendered.pop("", None)
    return Tried(content, tuple(faults), rendered), list(scripts.values())


def _values(
    settings: Settings, wrapper: Wrapper, names: list[str], refused: dict[Fault, list[str]]
) -> Iterable[tuple[dict[str, Any], str]]:
    for name in names:
        queue = settings.queues[name]
        try:
            given, context = queue.wrapper_parameters, wrapper_context(settings, queue)
            yield wrapper.manifest.values(given, context), name
        except SettingsError as error:
            refused.setdefault(_fault(error), []).append(name)
    if not names:
        yield wrapper.manifest.samples(), ""


def _no_bash(content: Content) -> Iterable[Fault]:
    """Values are quoted for bash, and bash alone is asked whether it can read the script."""
    if not _BASH.fullmatch(content.files[TEMPLATE].text.split("\n", 1)[0]):
        yield Fault(
            text="the first line does not say that bash is to run it",
            cure="write #!/bin/bash",
            file=TEMPLATE,
            line=1,
        )
    for number, line in enumerate(content.files[MANIFEST].text.split("\n"), 1):
        if any(not c.isprintable() for c in line):
            yield Fault(
                text="a character that does not show, or a tab",
                cure="take it out",
                file=MANIFEST,
                line=number,
            )


def _fault(error: SettingsError) -> Fault:
    if isinstance(error, Flaw):
        return Fault(text=error.text, cure=error.cure, file=error.file, line=error.line)
    return Fault(text=error.problem, cure=error.cure)
