"""What queues may refer to, and parameters validated once however many queues share them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from core.model.errors import SettingsError
from core.model.plugin import Params
from core.settings.registry import Kind, plugin_class
from core.settings.validate import Fault, anchored, judge

NO_PLUGIN = "no_plugin"


class Judged(NamedTuple):
    """Parameters of one plug-in, or what is wrong with them."""

    params: Params | None
    unset: Mapping[tuple[str, ...], Any]
    """The plug-in's own values for the keys that the table leaves out; tables in it key by key."""
    faults: tuple[Fault, ...]


class Known:
    """Names of the tables `[wms.X]` and `[batch.X]`, and verdicts on parameters."""

    def __init__(self, base: Path, raw: Mapping[str, Any]) -> None:
        """`base`: where relative paths start; `raw`: the settings file."""
        self._base = base
        self.wms = frozenset(_tables(raw, "wms"))
        self.batch = {name: _plugin(table) for name, table in _tables(raw, "batch").items()}
        self._judged: dict[tuple[Kind, str, str], Judged] = {}

    def params(self, kind: Kind, plugin: str, table: Mapping[str, Any]) -> Judged:
        """Validate a plug-in's parameters; `plugin` itself may be wrong (fault NO_PLUGIN)."""
        key = kind, plugin, json.dumps(table, sort_keys=True)
        if key not in self._judged:
            self._judged[key] = self._judge(kind, plugin, table)
        return self._judged[key]

    def fits(self, batch: str, submit: str) -> bool:
        """Tell whether a submit plug-in can submit to the batch system of a table."""
        try:
            theirs: type[Params] = plugin_class("batch", self.batch.get(batch) or "").params
            wanted: type[Params] = plugin_class("submit", submit).batch_params
        except SettingsError:
            return True  # the table or the plug-in itself is wrong, which is told where it stands
        return issubclass(theirs, wanted)

    def _judge(self, kind: Kind, plugin: str, table: Mapping[str, Any]) -> Judged:
        try:
            model: type[Params] = plugin_class(kind, plugin).params
        except SettingsError as error:
            return Judged(None, {}, (Fault((), "", error.problem, error.cure, NO_PLUGIN),))
        params, faults = judge(model, anchored(model, table, self._base))
        if params is None:
            return Judged(None, {}, faults)
        told = params.model_dump(mode="json", by_alias=True)
        return Judged(params, dict(_unset(params, told)), ())


def _unset(params: BaseModel, told: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in type(params).model_fields.items():
        key = field.serialization_alias or name
        value = getattr(params, name)
        if isinstance(value, BaseModel):
            yield from (((key, *below), each) for below, each in _unset(value, told[key]))
        elif name not in params.model_fields_set:
            yield (key,), told[key]


def _tables(raw: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    tables = raw.get(kind)
    if not isinstance(tables, dict):
        return {}
    return {name: table for name, table in tables.items() if isinstance(table, dict)}


def _plugin(table: Mapping[str, Any]) -> str | None:
    plugin = table.get("plugin")
    return plugin if isinstance(plugin, str) else None
