"""Publishing wrappers: checked, asked in the ledger, written as a new version, applied."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import anyio.to_thread

from core.model.errors import ApftuiError, SettingsError, Stale
from core.model.frozen import Frozen
from core.model.text import clean
from core.run.drafts import Draft, difference, try_out, users
from core.settings import published
from core.settings.published import Version
from core.settings.schema import Settings
from core.settings.template import MANIFEST, TEMPLATE
from core.settings.wrappers import Content, Library, Rendered
from core.state import clock


class VersionStatus(Frozen):
    """A version that a wrapper has, or had, or could have again."""

    version: str
    """Number of a published one; `folder`, the operator's own; `shipped`, apftui's."""
    by: str = ""
    at: float | None = None
    message: str = ""
    problem: str = ""
    """Why it cannot be had."""


class WrapperStatus(Frozen):
    """A wrapper, who uses it, and its versions."""

    name: str
    summary: str = ""
    version: str
    """The one that counts."""
    sha256: str = ""
    """Of its files."""
    queues: tuple[str, ...] = ()
    versions: tuple[VersionStatus, ...] = ()
    """Published ones, newest first, then those that need not be published."""
    problem: str = ""


class WrapperText(Frozen):
    """One version of a wrapper, whole."""

    name: str
    version: str
    sha256: str
    template: str
    manifest: str
    steps: dict[str, str]
    """What the template includes, by path."""


class Ready(NamedTuple):
    """A new version that every queue can use, before anything is written."""

    action: dict[str, Any]
    write: Callable[[], None]
    rendered: Mapping[str, Rendered]
    """By queue: what those that use it run with from then on."""


def wrappers(settings: Settings) -> tuple[WrapperStatus, ...]:
    """Return all wrappers. Raise SettingsError if a folder of them cannot be read."""
    library = Library.of(settings.factory)
    return tuple(_status(library, settings, name) for name in library.names())


def wrapper_text(settings: Settings, name: str, version: str) -> WrapperText:
    """Return one version, by default the one that counts. Raise NotFound or SettingsError."""
    content = Library.of(settings.factory).content(name, version)
    return WrapperText(
        name=content.name,
        version=content.version,
        sha256=content.sha256,
        template=content.files[TEMPLATE].text,
        manifest=content.files[MANIFEST].text,
        steps={path: source.text for path, source in content.steps.items()},
    )


async def prepare(settings: Settings, draft: Draft, *, base: str, message: str, by: str) -> Ready:
    """Work out a new version. `base` is the one that its author saw to be the one that counts.

    Raise Stale with what was published since, or SettingsError with all that is wrong with it.
    """
    tried = await try_out(settings, draft)
    if tried.faults:
        raise SettingsError("\n".join([f"{draft.name} is not published:", *map(str, tried.faults)]))
    number = await anyio.to_thread.run_sync(_next, settings, tried.content, base)
    version = Version(
        number=number,
        by=clean(by, 200),
        at=clock.wall(),
        message=clean(message.strip(), 500),
        action=uuid.uuid4().hex,
        sha256=tried.content.sha256,
    )
    return _ready(settings, draft, tried.content, version, tried.rendered)


def _ready(
    settings: Settings,
    draft: Draft,
    content: Content,
    version: Version,
    rendered: Mapping[str, Rendered],
) -> Ready:
    again = f" (again {content.version})" if content.version else ""
    action = {
        "id": version.action,
        "at": version.at,
        "by": version.by,
        "what": f"publish wrapper {draft.name} {version.number}{again}",
        "why": version.message,
        "until": None,
        "undoes": None,
        "before": [],
    }
    folder = published.folder(settings.factory.state)

    def write() -> None:
        published.write(folder, draft.name, version, content.files)

    update = {"version": str(version.number)}
    return Ready(action, write, {q: r.model_copy(update=update) for q, r in rendered.items()})


def _next(settings: Settings, content: Content, base: str) -> int:
    """Return the number of the next version. Raise Stale if another one than `base` counts."""
    library = Library.of(settings.factory)
    live = library.version(content.name)
    now = library.content(content.name, live) if live else None
    if live != base:
        raise Stale(
            f"wrapper {content.name} is at version {live or 'none'} by now, not at"
            f" {base or 'none'}{_whose(library, content.name, live)}",
            "look at what was changed, and publish again",
            difference(_past(library, content.name, base), now),
        )
    if now is not None and now.sha256 == content.sha256:
        raise SettingsError(
            f"nothing to publish: {content.name} is just so already, as version {live}"
        )
    return max(library.numbers(content.name), default=0) + 1


def _whose(library: Library, name: str, version: str) -> str:
    if not version.isdigit():
        return ""
    told = library.published(name, int(version))
    return f": {told.by} published it ({told.message})"


def _past(library: Library, name: str, version: str) -> Content | None:
    try:
        return library.content(name, version) if version else None
    except ApftuiError:
        return None


def _status(library: Library, settings: Settings, name: str) -> WrapperStatus:
    version = library.version(name)
    told: dict[str, Any] = {
        "name": name,
        "version": version,
        "queues": tuple(users(settings, name)),
        "versions": tuple(_versions(library, name)),
    }
    try:
        wrapper = library.live(name)
    except ApftuiError as error:
        return WrapperStatus(problem=str(error), **told)
    summary = clean(wrapper.manifest.summary, 200)
    return WrapperStatus(summary=summary, sha256=wrapper.content.sha256, **told)


def _versions(library: Library, name: str) -> Iterator[VersionStatus]:
    for number in reversed(library.numbers(name)):
        try:
            told = library.published(name, number)
        except ApftuiError as error:
            yield VersionStatus(version=str(number), problem=str(error))
        else:
            yield VersionStatus(version=str(number), by=told.by, at=told.at, message=told.message)
    for version in library.unpublished(name):
        yield VersionStatus(version=version)
