"""Plug-ins by their entry points; only what is asked for is loaded."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from core.model.errors import SettingsError
from core.model.plugin import Batch, Config, Sched, Submit, Wms
from core.model.text import clean
from core.settings.suggest import did_you_mean

Kind = Literal["config", "wms", "batch", "sched", "submit"]

_CONTRACT: dict[Kind, type] = {
    "config": Config,
    "wms": Wms,
    "batch": Batch,
    "sched": Sched,
    "submit": Submit,
}


def plugin_names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the installed plug-ins of a kind, sorted."""
    return tuple(sorted(_installed(kind)))


@cache
def plugin_class(kind: Kind, name: str) -> type[Any]:
    """Return a plug-in's class.

    Raise SettingsError if there is none of that name (with the nearest), if two distributions
    claim it, or if it cannot be loaded.
    """
    found = _installed(kind).get(name)
    if found is None:
        raise SettingsError(
            f"no {kind} plug-in {clean(name, 100)!r} is installed",
            did_you_mean(name, plugin_names(kind), "installed"),
        )
    if len(found) > 1:
        both = " and ".join(sorted(f"{_distribution(e)} ({e.value})" for e in found.values()))
        raise SettingsError(f"{kind} plug-in {name} is claimed by {both}", "uninstall one of them")
    entry = next(iter(found.values()))
    try:
        loaded = entry.load()
    except Exception as error:  # whatever the plug-in's module does when it is imported
        cause = f"{type(error).__name__}: {clean(str(error), 200)}"
        raise SettingsError(
            f"{kind} plug-in {name} ({entry.value}) of {_distribution(entry)} cannot be loaded: "
            f"{cause}",
            "repair or uninstall it",
        ) from error
    contract = _CONTRACT[kind]
    if not (isinstance(loaded, type) and issubclass(loaded, contract)):
        raise SettingsError(
            f"{kind} plug-in {name} ({entry.value}) of {_distribution(entry)} is no "
            f"core.model.plugin.{contract.__name__}",
            "derive it from that class",
        )
    return loaded


@cache
def _installed(kind: Kind) -> dict[str, dict[str, EntryPoint]]:
    """Name → import path → entry point; the same package may be found twice on the path."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=f"apftui.{kind}"):
        found.setdefault(entry.name, {})[entry.value] = entry
    return found


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"
