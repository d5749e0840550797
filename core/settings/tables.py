"""The tables `[factory]`, `[wms.X]`, `[batch.X]` and `[config.X]` of the settings file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ConfigDict

from core.model.errors import SettingsError
from core.model.frozen import Frozen
from core.model.plugin import Params
from core.settings.keys import dotted
from core.settings.problems import Problem
from core.settings.registry import Kind, plugin_class, plugin_names
from core.settings.schema import (
    BatchTable,
    FactoryTable,
    PositiveSeconds,
    Seconds,
    SourceTiming,
    WmsTable,
)
from core.settings.validate import anchored, judge, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MIN_BATCH_AGE = 90.0

K = TypeVar("K", bound=Frozen)


class _WmsKeys(Frozen):
    period: PositiveSeconds = 60.0
    deadline: PositiveSeconds = 20.0
    max_age: PositiveSeconds = 360.0
    lag: Seconds | None = None


class _BatchKeys(Frozen):
    period: PositiveSeconds = 30.0
    deadline: PositiveSeconds = 20.0
    max_age: PositiveSeconds | None = None
    submit_deadline: PositiveSeconds = 60.0
    outcomes_period: PositiveSeconds = 60.0


class _ConfigKeys(Frozen):
    pass


class ConfigTable(Frozen):
    """Table `[config.X]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    plugin: str
    params: Params


class Source(NamedTuple):
    """The file that is read, the folder where its relative paths start, and what is wrong."""

    where: str
    base: Path
    problems: list[Problem | SettingsError]

    def wrong(self, table: str, text: str, cure: str = "") -> None:
        self.problems.append(Problem(self.where, table, text, cure))


def factory_table(source: Source, raw: Mapping[str, Any]) -> FactoryTable | None:
    """Return table `[factory]`, or None with its problems noted in `source`."""
    table = raw.get("factory", {})
    if not isinstance(table, dict):
        source.wrong("", "factory is no table", "write [factory] and its keys below it")
        return None
    found, faults = judge(FactoryTable, anchored(FactoryTable, table, source.base))
    for fault in faults:
        source.wrong("factory", fault.text(), fault.cure)
    return found


def wms_tables(source: Source, raw: Mapping[str, Any]) -> dict[str, WmsTable]:
    """Return the good tables `[wms.X]`; problems of the others are noted in `source`."""
    tables: dict[str, WmsTable] = {}
    for name, table in _named(source, raw, "wms"):
        if (found := _split(source, "wms", name, table, _WmsKeys)) is None:
            continue
        plugin, keys, params = found
        timing = SourceTiming(period=keys.period, deadline=keys.deadline, max_age=keys.max_age)
        _check_age(source, f"wms.{name}", timing)
        lag = plugin_class("wms", plugin).lag if keys.lag is None else keys.lag
        tables[name] = WmsTable(name=name, plugin=plugin, params=params, timing=timing, lag=lag)
    return tables


def batch_tables(source: Source, raw: Mapping[str, Any]) -> dict[str, BatchTable]:
    """Return the good tables `[batch.X]`; problems of the others are noted in `source`."""
    tables: dict[str, BatchTable] = {}
    for name, table in _named(source, raw, "batch"):
        if (found := _split(source, "batch", name, table, _BatchKeys)) is None:
            continue
        plugin, keys, params = found
        max_age = keys.max_age or max(3 * keys.period, _MIN_BATCH_AGE)
        timing = SourceTiming(period=keys.period, deadline=keys.deadline, max_age=max_age)
        _check_age(source, f"batch.{name}", timing)
        tables[name] = BatchTable(
            name=name,
            plugin=plugin,
            params=params,
            timing=timing,
            outcomes=SourceTiming(
                period=keys.outcomes_period,
                # Nobody waits for these, and the first of them reads an hour back.
                deadline=max(keys.deadline, keys.outcomes_period),
                max_age=max(max_age, 3 * keys.outcomes_period),
            ),
            submit_deadline=keys.submit_deadline,
        )
    return tables


def config_tables(source: Source, raw: Mapping[str, Any]) -> list[ConfigTable]:
    """Return the good tables `[config.X]` in the file's order; problems are noted in `source`."""
    tables: list[ConfigTable] = []
    for name, table in _named(source, raw, "config"):
        if (found := _split(source, "config", name, table, _ConfigKeys)) is not None:
            plugin, _, params = found
            tables.append(ConfigTable(name=name, plugin=plugin, params=params))
    return tables


def _named(source: Source, raw: Mapping[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    tables = raw.get(kind, {})
    if not isinstance(tables, dict):
        source.wrong("", f"{kind} is no table", f"write [{kind}.NAME] and its keys below it")
        return []
    good = []
    for name, table in tables.items():
        place = dotted([kind, name])
        if not isinstance(table, dict):
            source.wrong("", f"{place} is no table", f"write [{kind}.NAME] and its keys below it")
        elif not _NAME.fullmatch(name):
            source.wrong(place, "is no name", "use letters, digits, - and _; at most 64 characters")
        else:
            good.append((name, table))
    return good


def _split(
    source: Source, kind: Kind, name: str, table: dict[str, Any], own: type[K]
) -> tuple[str, K, Params] | None:
    """Part a table into plug-in, core's own keys and the plug-in's parameters."""
    place = f"{kind}.{name}"
    plugin = table.get("plugin")
    if not isinstance(plugin, str):
        wrong = "plugin is missing" if plugin is None else f"plugin = {shown(plugin)} is no name"
        source.wrong(place, wrong, f"set plugin to one of: {', '.join(plugin_names(kind))}")
        return None
    try:
        model: type[Params] = plugin_class(kind, plugin).params
    except SettingsError as error:
        source.wrong(place, error.problem, error.cure)
        return None
    ours = set(own.model_fields)
    keys, faults = judge(own, {k: v for k, v in table.items() if k in ours})
    rest = {k: v for k, v in table.items() if k not in ours and k != "plugin"}
    params, more = judge(model, anchored(model, rest, source.base), also=ours)
    for fault in (*faults, *more):
        source.wrong(place, fault.text(), fault.cure)
    if keys is None or params is None:
        return None
    return plugin, keys, params


def _check_age(source: Source, place: str, timing: SourceTiming) -> None:
    if timing.max_age < timing.period:
        source.wrong(
            place,
            f"max_age {timing.max_age:g}s is shorter than period {timing.period:g}s: counts "
            "would be too old before the next are asked for",
            "raise max_age or lower period",
        )
