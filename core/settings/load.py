"""From a settings file to the settings of a pass; files are read once, overrides laid on top."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.model.errors import SettingsError
from core.model.plugin import Config, QueueTable
from core.model.text import clean
from core.settings.keys import dotted, split
from core.settings.known import Known
from core.settings.layers import DEFAULTS, OVERRIDE, QUEUE, Layer
from core.settings.overrides import FILE, NO_OVERRIDES, Override, Overrides
from core.settings.problems import Problem, raise_all
from core.settings.queue import check_defaults, resolve_queue
from core.settings.registry import plugin_class
from core.settings.schema import FactoryTable, Orphan, QueueSettings, Settings
from core.settings.suggest import did_you_mean
from core.settings.tables import (
    Source,
    batch_tables,
    config_tables,
    factory_table,
    wms_tables,
)
from core.settings.toml_file import read_toml, take_odd_values

_TABLES = ("factory", "wms", "batch", "config", "defaults", "queues")
_DEFAULT_FOLDER = "queues.d"


class Layers(NamedTuple):
    """What was read, and the settings that it makes without overrides."""

    base: Settings
    queues: Mapping[str, tuple[Layer, ...]]
    """Lowest layer first."""
    known: Known


def load(path: Path, overrides: Overrides = NO_OVERRIDES) -> Settings:
    """Read the settings. Raise SettingsError with everything that is wrong."""
    return resolve(read_layers(path), overrides)


def read_layers(path: Path) -> Layers:
    """Read and validate all files. Raise SettingsError with everything that is wrong."""
    path = path.absolute()
    raw, odd = take_odd_values(read_toml(path))
    source = Source(clean(str(path)), path.parent, [])
    for keys, why in odd:
        source.wrong(dotted(keys[:-1]), f"{dotted(keys[-1:])}: {why}", "")
    for name in raw:
        if name not in _TABLES:
            text = f"unknown table or key {dotted([name])}"
            source.wrong("", text, did_you_mean(name, _TABLES, "tables"))
    factory = factory_table(source, raw)
    wms = wms_tables(source, raw)
    batch = batch_tables(source, raw)
    known = Known(path.parent, raw)
    defaults = Layer(DEFAULTS, source.where, _table(source, raw, "defaults"))
    source.problems.extend(check_defaults(defaults, known))
    layers = _layers_of_queues(source, raw, defaults)
    queues: dict[str, QueueSettings] = {}
    for name in sorted(layers):
        queue, problems = resolve_queue(name, layers[name], known)
        source.problems.extend(problems)
        if queue is not None:
            queues[name] = queue
    raise_all(source.problems)
    if factory is None:
        raise SettingsError(f"{source.where}: [factory] is not usable")
    settings = Settings(path=path, factory=factory, wms=wms, batch=batch, queues=queues)
    return Layers(settings, layers, known)


def read_factory(path: Path) -> FactoryTable:
    """Read table `[factory]` alone: it tells where a factory is, whatever is wrong with queues."""
    raw, _ = take_odd_values(read_toml(path))
    source = Source(clean(str(path)), path.parent, [])
    factory = factory_table(source, raw)
    raise_all(source.problems)
    if factory is None:
        raise SettingsError(f"{source.where}: [factory] is not usable")
    return factory


def resolve(layers: Layers, overrides: Overrides) -> Settings:
    """Lay `overrides` over the settings; one that does not fit becomes an orphan, no error."""
    by_queue: dict[str, list[Override]] = {}
    for entry in overrides.entries:
        by_queue.setdefault(entry.queue, []).append(entry)
    queues = dict(layers.base.queues)
    orphans: list[Orphan] = []
    for name, entries in by_queue.items():
        if name not in layers.queues:
            problem = (
                f"there is no queue {clean(name, 200)}; {did_you_mean(name, queues, 'queues')}"
            )
            orphans += [_orphan(entry, entry.orphaned or problem) for entry in entries]
        else:
            queues[name], set_aside = _overridden(layers, name, entries)
            orphans += set_aside
    return layers.base.model_copy(update={"queues": queues, "orphans": tuple(orphans)})


def validate_change(layers: Layers, proposed: Overrides, *changed: Override) -> Settings:
    """Return the settings with `proposed`, which holds `changed`.

    Raise SettingsError if one of `changed` does not fit.
    """
    settings = resolve(layers, proposed)
    set_aside = {(orphan.queue, orphan.key): orphan for orphan in settings.orphans}
    raise_all(
        SettingsError(f"queue {clean(entry.queue, 200)}: {_named(orphan)}")
        for entry in changed
        if (orphan := set_aside.get((entry.queue, entry.key)))
    )
    return settings


def _named(orphan: Orphan) -> str:
    """Return what is wrong, with the whole key before it unless it begins with it."""
    problem = orphan.problem
    return problem if problem.startswith(orphan.key) else f"{clean(orphan.key, 200)}: {problem}"


def _overridden(
    layers: Layers, name: str, entries: list[Override]
) -> tuple[QueueSettings, list[Orphan]]:
    """Leave out what does not fit until the rest does."""
    orphans = [_orphan(entry, entry.orphaned) for entry in entries if entry.orphaned]
    fitting: dict[tuple[str, ...], Override] = {}
    for entry in entries:
        if not entry.orphaned:
            try:
                fitting[split(entry.key)] = entry
            except SettingsError as error:
                orphans.append(_orphan(entry, str(error)))
    while fitting:
        above = (_layer(keys, entry) for keys, entry in fitting.items())
        queue, problems = resolve_queue(name, (*layers.queues[name], *above), layers.known)
        if queue is not None:
            return queue, orphans
        blamed = {
            keys: problem
            for problem in problems
            for keys in fitting
            if problem.key and _overlap(keys, problem.key)
        }
        # Nobody in particular is to blame: the last one came to what was there.
        for keys, problem in (blamed or {list(fitting)[-1]: problems[0]}).items():
            orphans.append(_orphan(fitting.pop(keys), problem.says))
    return layers.base.queues[name], orphans


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _layer(keys: tuple[str, ...], entry: Override) -> Layer:
    table: Any = entry.value
    for key in reversed(keys):
        table = {key: table}
    return Layer(OVERRIDE, f"{FILE} ({entry.by})", table)


def _orphan(entry: Override, problem: str) -> Orphan:
    return Orphan(queue=entry.queue, key=entry.key, value=entry.value, problem=problem)


def _table(source: Source, raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name, {})
    if isinstance(table, dict):
        return table
    source.wrong("", f"{name} is no table", f"write [{name}] and its keys below it")
    return {}


def _layers_of_queues(
    source: Source, raw: Mapping[str, Any], defaults: Layer
) -> dict[str, tuple[Layer, ...]]:
    found: dict[str, tuple[Layer, ...]] = {}
    written: dict[str, str] = {}
    for raw_name, layer in (*_from_plugins(source, raw), *_from_file(source, raw)):
        name = clean(raw_name)
        if not name.strip():
            source.problems.append(Problem(layer.where, "queues", "a queue has no name", "name it"))
        elif written.setdefault(name, raw_name) != raw_name:
            text = "two queues have this name once control characters are made visible"
            table = dotted(["queues", name])
            source.problems.append(Problem(layer.where, table, text, "rename one of them"))
        else:
            found[name] = (*found.get(name, (defaults,)), layer)
    return found


def _from_file(source: Source, raw: Mapping[str, Any]) -> Iterator[tuple[str, Layer]]:
    for name, table in _table(source, raw, "queues").items():
        if isinstance(table, dict):
            yield name, Layer(QUEUE, source.where, table)
        else:
            text = f"{dotted([name])} is no table"
            source.wrong("queues", text, "write [queues.NAME] and its keys below it")


def _from_plugins(source: Source, raw: Mapping[str, Any]) -> Iterator[tuple[str, Layer]]:
    tables: Mapping[str, Any] = raw
    if not raw.get("config") and (source.base / _DEFAULT_FOLDER).is_dir():
        tables = {"config": {"folder": {"plugin": "folder", "path": _DEFAULT_FOLDER}}}
    for config in config_tables(source, tables):
        plugin: Config[Any] = plugin_class("config", config.plugin)(config.params, source.base)
        try:
            found = plugin.load()
        except SettingsError as error:
            source.problems.append(error)
            continue
        except Exception as error:  # whatever a plug-in raises
            cause = f"{type(error).__name__}: {clean(str(error), 200)}"
            source.wrong(f"config.{config.name}", f"plug-in {config.plugin} failed: {cause}")
            continue
        yield from _layers_of(source, config.name, found)


def _layers_of(source: Source, config: str, found: QueueTable) -> Iterator[tuple[str, Layer]]:
    for name, table in found.queues.items():
        where = clean(found.origin.get(name, f"config {config}"))
        kept, odd = take_odd_values(dict(table))
        for keys, why in odd:
            place = dotted(["queues", name, *keys[:-1]])
            text = f"{dotted(keys[-1:])}: {why}"
            source.problems.append(Problem(where, place, text, ""))
        yield name, Layer(config, where, kept)
