"""Wrappers: a manifest and a template become one self-contained script.

Of a name, the newest published version counts; if none was published, the one in the operator's
own folder, else the one that is shipped.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from functools import cached_property, reduce
from importlib.resources import files
from importlib.resources.abc import Traversable
from operator import truediv
from pathlib import Path
from typing import Any, NamedTuple

from core.model.errors import NotFound, SettingsError
from core.model.frozen import Frozen
from core.model.text import clean
from core.settings import published
from core.settings.manifest import Manifest, read_manifest
from core.settings.published import NAME, Version
from core.settings.schema import FactoryTable
from core.settings.suggest import did_you_mean
from core.settings.template import MANIFEST, TEMPLATE, Flaw, Source, Template, includes

SHIPPED, FOLDER = "shipped", "folder"
"""Versions of wrappers that were never published: apftui's own, the operator's."""


class Rendered(Frozen):
    """A script that is ready to be submitted."""

    name: str
    version: str = SHIPPED
    """Number of a published version, or `shipped`, or `folder`."""
    text: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Named after its content: gatekeepers keep executables by name."""
        return f"{self.name}-{self.sha256[:16]}.sh"


class Content(NamedTuple):
    """One version of a wrapper, whole: its files by their paths, all that it includes with it."""

    name: str
    version: str
    """Number of a published version, or `shipped`, or `folder`; "" is a draft."""
    files: Mapping[str, Source]

    @property
    def sha256(self) -> str:
        """Hash of all files."""
        return published.hash_of({path: source.text for path, source in self.files.items()})

    @property
    def steps(self) -> dict[str, Source]:
        """What the template includes."""
        return {p: s for p, s in self.files.items() if p not in (MANIFEST, TEMPLATE)}


class Wrapper:
    """One version of a wrapper, ready to be rendered."""

    def __init__(self, content: Content) -> None:
        """Raise SettingsError naming file, line and cure if anything is wrong with it."""
        self.content = content
        manifest = content.files[MANIFEST]
        self.manifest: Manifest = read_manifest(manifest.text, content.name, manifest.where)

    @cached_property
    def template(self) -> Template:
        """The template. Raise Flaw."""
        files = {p: s for p, s in self.content.files.items() if p != MANIFEST}
        return Template(files, self.manifest)

    def render(self, parameters: Mapping[str, Any], context: Mapping[str, Any]) -> Rendered:
        """Fill in a wrapper: same input, same bytes.

        `context` has factory, queue, wms_queue, resource_type, and `wms`, the queue's WMS table.
        Raise SettingsError naming wrapper, parameter or line, and cure.
        """
        return self.rendered(self.manifest.values(parameters, context))

    def rendered(self, values: Mapping[str, Any]) -> Rendered:
        """Fill in the template's own values. Raise Flaw."""
        text = self.template.render(values)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        content = self.content
        return Rendered(name=content.name, version=content.version, text=text, sha256=sha256)


class Library:
    """All wrappers: those published in a folder, the operator's own, and those that are shipped.

    Each file is read once; make a new Library to see changes.
    """

    def __init__(self, own: Path | None = None, published: Path | None = None) -> None:
        shipped: Traversable = files("wrappers")
        self._published = published
        self._folders: dict[str, Traversable] = {} if own is None else {FOLDER: own}
        self._folders[SHIPPED] = shipped
        self._live: dict[str, Wrapper] = {}

    @classmethod
    def of(cls, factory: FactoryTable) -> "Library":
        """Return the wrappers of a factory."""
        return cls(factory.wrappers, published.folder(factory.state))

    def names(self) -> list[str]:
        """Return the names of all wrappers. Raise SettingsError if a folder cannot be read."""
        found = {
            entry.name
            for folder in self._folders.values()
            if folder.is_dir()
            for entry in folder.iterdir()
            if NAME.fullmatch(entry.name) and (entry / MANIFEST).is_file()
        }
        return sorted(found.union(published.names(self._published)))

    def live(self, name: str) -> Wrapper:
        """Return the version that counts. Raise SettingsError naming file and cure."""
        if name not in self._live:
            self._live[name] = Wrapper(self.content(name))
        return self._live[name]

    def manifest(self, name: str) -> Manifest:
        """Return what a wrapper takes. Raise SettingsError naming file and cure."""
        return self.live(name).manifest

    def render(
        self, name: str, parameters: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Rendered:
        """Fill in a wrapper as `Wrapper.render` does."""
        return self.live(name).render(parameters, context)

    def version(self, name: str) -> str:
        """Return which version counts; "" if there is no such wrapper."""
        if numbers := self.numbers(name):
            return str(numbers[-1])
        return next((v for v in self._folders if self._has(v, name)), "")

    def numbers(self, name: str) -> list[int]:
        """Return the published versions, oldest first."""
        return published.numbers(self._published, name)

    def published(self, name: str, number: int) -> Version:
        """Return who published a version, and why. Raise SettingsError if it is damaged."""
        return published.read_version(self._published, name, number)

    def unpublished(self, name: str) -> list[str]:
        """Return under which names it can be had without having been published."""
        return [v for v in self._folders if self._has(v, name)]

    def content(self, name: str, version: str = "") -> Content:
        """Return a version, by default the one that counts.

        Raise NotFound or SettingsError if it cannot be had whole.
        """
        version = version or self.version(name)
        if not version:
            names = self.names()
            cure = did_you_mean(name, names, "there are")
            raise SettingsError(f"there is no wrapper {clean(name, 80)}", cure)
        if version not in self._folders:
            return Content(name, version, published.read(self._published, name, version))
        if not self._has(version, name):
            place = "the folder of [factory] wrappers" if version == FOLDER else "those shipped"
            raise NotFound(f"there is no wrapper {clean(name, 80)} in {place}", "see the list")
        folder = self._folders[version] / name
        return self._gathered(
            name, version, {path: _read(folder / path) for path in (MANIFEST, TEMPLATE)}, {}
        )

    def draft(self, name: str, base: str, template: str | None, manifest: str | None) -> Content:
        """Return version `base` with another template, manifest or both.

        It keeps the included files of its base: an upgrade of apftui does not change them. A
        wrapper that is new has no base (""), and needs both. Raise SettingsError.
        """
        below = self.content(name, base).files if base or self.version(name) else {}
        changed = {TEMPLATE: template, MANIFEST: manifest}
        given = {path: Source(text, path) for path, text in changed.items() if text is not None}
        files = {path: below[path] for path in changed if path in below} | given
        for path in changed:
            if path not in files:
                raise SettingsError(f"a new wrapper needs a {path}", "give it too")
        steps = {p: s for p, s in below.items() if p not in changed}
        return self._gathered(name, "" if given else base, files, steps)

    def _has(self, version: str, name: str) -> bool:
        if version not in self._folders or not NAME.fullmatch(name):
            return False
        return (self._folders[version] / name / MANIFEST).is_file()

    def _gathered(
        self, name: str, version: str, files: dict[str, Source], steps: Mapping[str, Source]
    ) -> Content:
        """Add all that is included, from `steps` first. Raise Flaw for what is not there."""
        found = dict(files)
        todo = [TEMPLATE]
        while todo:
            file = todo.pop()
            for included, line in includes(file, found[file]):
                if included in found:
                    continue
                source = steps.get(included) or self._step(included)
                if source is None:
                    where = found[file].where
                    text = f"there is no file {clean(included, 100)} to include"
                    raise Flaw(text, where=where, file=file, line=line)
                found[included] = source
                todo.append(included)
        return Content(name, version, found)

    def _step(self, path: str) -> Source | None:
        for folder in self._folders.values():
            # MultiplexedPath of Python 3.11 joins one name at a time.
            place = reduce(truediv, path.split("/"), folder)
            if place.is_file():
                return _read(place)
        return None


def _read(place: Traversable) -> Source:
    try:
        return Source(place.read_text(encoding="utf-8"), clean(str(place)))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {clean(str(place))}: {clean(str(error))}") from None


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
