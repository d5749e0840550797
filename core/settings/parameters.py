"""What operators can set for a queue: each value with its layer, its default and its form."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from core.model.errors import NotFound, SettingsError
from core.model.frozen import Frozen
from core.settings.forms import Form, forms
from core.settings.keys import dotted, split
from core.settings.layers import BUILT_IN
from core.settings.overrides import Override, Overrides
from core.settings.queue import QueueKeys
from core.settings.registry import plugin_names
from core.settings.schema import EffectiveValue, QueueSettings, Settings
from core.settings.suggest import did_you_mean
from core.settings.wrappers import Library

_FREE = ("attributes", "environment")
_TABLES = ("submit", "sched", "wrapper_parameters", *_FREE)
_FIRST = ("paused", "drain", "chain")
_WRAPPER_TYPES: Mapping[str, Form] = {
    "string": {"type": "string"},
    "path": {"type": "string", "pattern": "^/"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "strings": {"type": "array", "items": {"type": "string"}},
}


class Parameter(Frozen):
    """One value. None is "not set"."""

    key: str
    """Dotted: `sched.max-pending.maximum`."""
    value: Any = None
    layer: str
    where: str = ""
    default: Any = None
    """What it would be without any override."""
    default_layer: str
    override: Override | None = None
    form: int
    """Which of the forms it has."""


class QueueParameters(Frozen):
    """What can be set for one queue, and the revision at which it is so."""

    name: str
    revision: str
    values: tuple[Parameter, ...]


class Parameters(Frozen):
    """Queues in the order asked for. A form is the JSON Schema of one value, with its `unit`."""

    queues: tuple[QueueParameters, ...]
    forms: tuple[dict[str, Any], ...]
    free: dict[str, int]
    """Tables of a queue that take keys of any name, and the form of their values."""


class _Value(NamedTuple):
    value: Any
    layer: str
    where: str
    form: Form


def parameters(
    settings: Settings,
    base: Settings,
    overrides: Overrides,
    names: Sequence[str],
    keys: Collection[str] = (),
) -> Parameters:
    """List what can be set for queues; `base` are the settings without overrides.

    Reads manifests of wrappers. Raise NotFound if there is no such queue.
    """
    by_key = {(e.queue, e.key): e for e in overrides.entries if not e.orphaned}
    found = _Forms()
    library = Library.of(settings.factory)
    known = _forms_of_keys(settings, library)
    queues = []
    for name in dict.fromkeys(names):
        if name not in settings.queues:
            cure = did_you_mean(name, settings.queues, "queues")
            raise NotFound(f"there is no queue {name}", cure)
        queue = settings.queues[name]
        below = dict(_values(base.queues[name], known, library))
        values = []
        for key, now in _values(queue, known, library):
            if keys and key not in keys:
                continue
            then = below.get(key) or _Value(now.form.get("default"), BUILT_IN, "", now.form)
            values.append(
                Parameter(
                    key=key,
                    value=now.value,
                    layer=now.layer,
                    where=now.where,
                    default=then.value,
                    default_layer=then.layer,
                    override=by_key.get((name, key)),
                    form=found.number(now.form),
                )
            )
        queues.append(QueueParameters(name=name, revision=queue.revision, values=tuple(values)))
    free = {table: found.number(_inner(known[table])) for table in _FREE}
    return Parameters(queues=tuple(queues), forms=tuple(found.told), free=free)


class _Forms:
    """Forms, each told once."""

    def __init__(self) -> None:
        self.told: list[Form] = []
        self._numbers: dict[str, int] = {}

    def number(self, form: Form) -> int:
        n = self._numbers.setdefault(repr(sorted(form.items())), len(self.told))
        if n == len(self.told):
            self.told.append(form)
        return n


def _values(
    queue: QueueSettings, known: Mapping[str, Form], library: Library
) -> Iterator[tuple[str, _Value]]:
    """Yield what is looked at most first: on or off, the chain, and the steps in its order."""
    layers = {split(v.key): v for v in queue.values}
    first = [key for key in _FIRST if key in known]
    for key in first:
        yield key, _value(layers, (key,), known[key])
    for link in {link.plugin: link for link in queue.chain}.values():
        yield from _of_model(layers, ("sched", link.plugin), link.params)
    for key, form in known.items():
        if key not in first and key not in _TABLES:
            yield key, _value(layers, (key,), form)
    yield "submit.plugin", _value(layers, ("submit", "plugin"), known["submit"])
    yield from _of_model(layers, ("submit",), queue.submit_params)
    yield from _of_wrapper(layers, queue, library)
    for table in _FREE:
        yield from _free(layers, (table,), known[table])


def _of_model(
    layers: Mapping[tuple[str, ...], EffectiveValue], above: tuple[str, ...], params: BaseModel
) -> Iterator[tuple[str, _Value]]:
    dumped = params.model_dump(mode="json", by_alias=True)
    for keys, form in forms(type(params)).items():
        if form.get("type") == "object":
            yield from _free(layers, (*above, *keys), form)
        else:
            node: Any = dumped
            for key in keys:
                node = node.get(key) if isinstance(node, dict) else None
            yield dotted((*above, *keys)), _value(layers, (*above, *keys), form, node)


def _of_wrapper(
    layers: Mapping[tuple[str, ...], EffectiveValue], queue: QueueSettings, library: Library
) -> Iterator[tuple[str, _Value]]:
    try:
        declared = library.manifest(queue.wrapper).parameters
    except SettingsError:  # told where pilots are prepared; here only what is set can be shown
        yield from _free(layers, ("wrapper_parameters",), {"type": "object"})
        return
    for name, parameter in declared.items():
        help = parameter.help
        if parameter.from_ is not None:
            help = f"{help} If it is not set: {parameter.from_} of the queue."
        form: Form = {**_WRAPPER_TYPES[parameter.type], "description": help}
        if parameter.default is not None:
            form["default"] = parameter.default
        yield (
            dotted(("wrapper_parameters", name)),
            _value(layers, ("wrapper_parameters", name), form, parameter.default),
        )


def _free(
    layers: Mapping[tuple[str, ...], EffectiveValue], above: tuple[str, ...], form: Form
) -> Iterator[tuple[str, _Value]]:
    """Yield the values of a table with keys of any name: those that it has."""
    for keys, value in layers.items():
        if keys[: len(above)] == above and len(keys) > len(above):
            yield value.key, _Value(value.value, value.layer, value.where, _inner(form))


def _inner(form: Form) -> Form:
    """Return the form of the values of a table with keys of any name."""
    about = {"description": form["description"]} if "description" in form else {}
    return {**about, **(form.get("additionalProperties") or {})}


def _value(
    layers: Mapping[tuple[str, ...], EffectiveValue],
    keys: tuple[str, ...],
    form: Form,
    value: Any = None,
) -> _Value:
    """Return what counts at `keys`; `value` if no layer says."""
    said = layers.get(keys)
    if said is not None:
        return _Value(said.value, said.layer, said.where, form)
    above = next(
        (layers[keys[:n]] for n in range(len(keys) - 1, 0, -1) if keys[:n] in layers), None
    )
    if above is not None:  # a table that one layer gave whole
        return _Value(value, above.layer, above.where, form)
    return _Value(form.get("default") if value is None else value, BUILT_IN, "", form)


def _forms_of_keys(settings: Settings, library: Library) -> dict[str, Form]:
    """Return the forms of a queue's own keys, with the names that these settings know."""
    made = {keys[0]: form for keys, form in forms(QueueKeys).items()}
    choices: dict[str, Collection[str]] = {
        "wms": settings.wms,
        "batch": settings.batch,
        "wrapper": library.names(),
    }
    for key, names in choices.items():
        made[key] = {**made[key], "enum": sorted(names)}
    made["chain"] = {
        **made["chain"],
        "items": {"type": "string", "enum": list(plugin_names("sched"))},
    }
    made["submit"] = {
        "type": "string",
        "description": "Plug-in that submits the pilots.",
        "enum": list(plugin_names("submit")),
    }
    return made
