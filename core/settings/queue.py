"""One queue: its merged layers judged, and made into what a pass runs with."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from core.model.answers import WmsQuery
from core.model.facts import Fact
from core.model.frozen import Frozen
from core.model.plugin import NoParams
from core.model.text import clean
from core.settings.effective import effective_values, revision_of
from core.settings.keys import dotted
from core.settings.known import NO_PLUGIN, Judged, Known
from core.settings.layers import (
    BUILT_IN,
    DEFAULTS,
    OVERRIDE,
    Layer,
    Tree,
    blame,
    leaves,
    merge,
    plain,
)
from core.settings.problems import Problem
from core.settings.registry import plugin_class, plugin_names
from core.settings.schema import ChainLink, QueueSettings
from core.settings.suggest import did_you_mean
from core.settings.validate import Fault, judge, shown

_WMS_FACTS = {Fact.WMS, Fact.WMS_RUNNING, Fact.WMS_STATUS}


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float):
        raise ValueError("should be text, a number, true or false")  # noqa: TRY004 (pydantic wants it)
    return value


_Text = Annotated[str, Field(min_length=1)]
_Scalar = Annotated[Any, AfterValidator(_scalar)]


class QueueKeys(Frozen):
    """The keys of `[queues.Q]` and `[defaults]`, all layers merged."""

    wms: _Text | None = Field(default=None, description="WMS that counts the payloads.")
    wms_queue: _Text | None = Field(
        default=None, description="The queue's name in the WMS; else its own."
    )
    resource_type: _Text | None = Field(
        default=None, description="Only payloads of this resource type, such as MCORE."
    )
    labels: tuple[_Text, ...] = Field(
        default=(), description="Only payloads with one of these labels; none: all."
    )
    batch: _Text | None = Field(default=None, description="Batch system that gets the pilots.")
    submit: dict[str, Any] = {}
    wrapper: _Text = Field(default="generic", description="Script that a pilot is started with.")
    wrapper_parameters: dict[str, Any] = {}
    attributes: dict[str, _Scalar] = Field(
        default={}, description="Attribute of the job, as the batch system knows it."
    )
    environment: dict[str, str] = Field(
        default={}, description="Environment variable of the pilot."
    )
    chain: Annotated[tuple[_Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="Steps that make the number of pilots, in their order."
    )
    sched: dict[str, dict[str, Any]] = {}
    apf_compat: bool = Field(
        default=False, description="AutoPyFactory's arithmetic where ours is stricter."
    )
    paused: bool = Field(default=False, description="Submit nothing; pilots are left alone.")
    drain: bool = Field(
        default=False, description="Submit nothing, and say drained when the last pilot has ended."
    )


def resolve_queue(
    name: str, layers: Sequence[Layer], known: Known
) -> tuple[QueueSettings | None, list[Problem]]:
    """Merge `layers`, lowest first; return the queue, or None and everything that is wrong."""
    home = next(layer for layer in reversed(layers) if layer.name != OVERRIDE)
    judgement = _Judgement(("queues", name), home.where, _merged(name, layers, known), known)
    return judgement.queue(name), judgement.problems


def check_defaults(layer: Layer, known: Known) -> list[Problem]:
    """Return what is wrong with `[defaults]` whatever queues make of it."""
    judgement = _Judgement(("defaults",), layer.where, merge({}, layer), known)
    judgement.defaults()
    return judgement.problems


def _merged(name: str, layers: Sequence[Layer], known: Known) -> Tree:
    built_in: dict[str, Any] = {
        "wms_queue": name,
        "labels": [],
        "wrapper": QueueKeys.model_fields["wrapper"].default,
        "apf_compat": False,
        "paused": False,
        "drain": False,
    }
    batch = next((la.table["batch"] for la in reversed(layers) if "batch" in la.table), None)
    if isinstance(batch, str) and (plugin := known.batch.get(batch)):
        built_in["submit"] = {"plugin": plugin}
    return reduce(merge, layers, merge({}, Layer(BUILT_IN, "", built_in)))


class _Place(NamedTuple):
    """Where something wrong was written."""

    where: str
    top: tuple[str, ...]
    """`defaults`, or `queues` and the queue."""
    keys: tuple[str, ...] = ()
    """Of the table below that."""
    override: tuple[str, ...] = ()
    """Its key if it is an override."""


class _Judgement:
    """Collects what is wrong with one merged tree."""

    def __init__(self, table: tuple[str, ...], where: str, tree: Tree, known: Known) -> None:
        """`table` and `where`: whom to name for what is wrong with no value in particular."""
        self._table = table
        self._where = where
        self._tree = tree
        self._known = known
        self.problems: list[Problem] = []

    def defaults(self) -> None:
        """Judge what stands there; what is missing may stand in the queues."""
        keys = self._keys()
        self._check_references(keys)
        for step in keys.chain or ():
            faults = self._known.params("sched", step, {}).faults
            self._note(("chain",), [f for f in faults if f.kind == NO_PLUGIN])
        for step, table in keys.sched.items():
            faults = self._known.params("sched", step, table).faults
            self._note(("sched", step), [f for f in faults if f.kind != "missing"])
        self._submit(keys, but="missing")

    def queue(self, name: str) -> QueueSettings | None:
        """Return the queue if nothing is wrong with it."""
        keys = self._keys()
        self._check_references(keys)
        self._check_presence()
        steps = self._steps(keys)
        submit = self._submit(keys)
        self._check_wms(steps)
        if self.problems or keys.batch is None or submit is None or submit.params is None:
            return None
        values = effective_values(self._tree, steps, submit)
        return QueueSettings(
            name=name,
            wms=keys.wms,
            query=WmsQuery(
                queue=keys.wms_queue or name,
                resource_type=keys.resource_type,
                labels=keys.labels,
            ),
            batch=keys.batch,
            submit_plugin=keys.submit["plugin"],
            submit_params=submit.params,
            wrapper=keys.wrapper,
            wrapper_parameters=keys.wrapper_parameters,
            chain=tuple(
                ChainLink(plugin=step, params=steps[step].params or NoParams())
                for step in keys.chain or ()
            ),
            attributes=keys.attributes,
            environment=keys.environment,
            paused=keys.paused,
            drain=keys.drain,
            apf_compat=keys.apf_compat,
            revision=revision_of(values),
            values=values,
        )

    def _keys(self) -> QueueKeys:
        table = plain(self._tree)
        keys, faults = judge(QueueKeys, table)
        for fault in faults:
            if fault.kind == "extra_forbidden" and fault.keys[-1] in plugin_names("sched"):
                cure = f"the parameters of a step stand in table sched.{fault.keys[-1]}"
                self._note((), [fault._replace(cure=cure)])
            else:
                self._note((), [fault])
        if keys is None:  # go on with the rest, so that all problems are told at once
            wrong = {fault.keys[0] for fault in faults}
            keys, _ = judge(QueueKeys, {k: v for k, v in table.items() if k not in wrong})
        return keys or QueueKeys()

    def _check_references(self, keys: QueueKeys) -> None:
        for kind, name, there in (
            ("wms", keys.wms, self._known.wms),
            ("batch", keys.batch, self._known.batch),
        ):
            if name is not None and name not in there:
                cure = did_you_mean(name, there, f"tables [{kind}.X]")
                self._add((kind,), f"{kind} = {shown(name)}: no such table [{kind}.X]", cure)

    def _check_presence(self) -> None:
        for key, example in (("batch", '"NAME" of a table [batch.NAME]'), ("chain", '["ready"]')):
            if key not in self._tree:
                cure = f"set {key} = {example} here or in [defaults]"
                self._add((), f"the queue has no {key}", cure)

    def _steps(self, keys: QueueKeys) -> dict[str, Judged]:
        chain = keys.chain or ()
        steps = {
            step: self._known.params("sched", step, keys.sched.get(step, {})) for step in chain
        }
        for step, judged in steps.items():
            for fault in judged.faults:
                if fault.kind == NO_PLUGIN:
                    self._note(("chain",), [fault])
                elif fault.kind == "missing":
                    key = dotted(fault.keys)
                    here, below = dotted([*self._table, "sched", step]), f"defaults.sched.{step}"
                    text = f"step {step} is in the chain without its {key}"
                    by = self._place(("chain",)).override
                    place = _Place(self._where, self._table, override=by)
                    self._tell(place, text, f"set {key} in [{here}] or [{below}]")
                else:
                    self._note(("sched", step), [fault])
        if chain:
            for step in sorted(keys.sched.keys() - set(chain)):
                self._check_unused(step, chain)
        return steps

    def _check_unused(self, step: str, chain: Sequence[str]) -> None:
        """Tell of parameters that were meant for a step of this chain.

        [defaults] may have some for the chains of other queues, and below a chain that an
        operator put there stand those of the chain in the files.
        """
        below = self._tree["sched"]
        node = below.get(step, {}) if isinstance(below, dict) else {}
        overridden = bool(self._place(("chain",)).override)
        own = [
            key
            for key, leaf in leaves({step: node})
            if leaf.layer == OVERRIDE or (leaf.layer != DEFAULTS and not overridden)
        ]
        if not own:
            return
        if step in plugin_names("sched"):
            text = f"step {step} is not in the queue's chain ({clean(', '.join(chain), 200)})"
            self._add(("sched", *own[0]), text, "add it to chain, or take this table away")
        else:
            faults = self._known.params("sched", step, {}).faults
            self._add(("sched", *own[0]), faults[0].text(), faults[0].cure)

    def _submit(self, keys: QueueKeys, but: str = "") -> Judged | None:
        plugin = keys.submit.get("plugin")
        if plugin is None:
            return None  # no batch table says which, and that has been told
        if not isinstance(plugin, str):
            self._add(("submit", "plugin"), f"plugin = {shown(plugin)} is no name", "")
            return None
        judged = self._known.params("submit", plugin, _without_plugin(keys.submit))
        for fault in judged.faults:
            if fault.kind != but:
                above = ("submit", "plugin") if fault.kind == NO_PLUGIN else ("submit",)
                self._note(above, [fault])
        if keys.batch is not None and not self._known.fits(keys.batch, plugin):
            text = f"plug-in {shown(plugin)} cannot submit to batch {shown(keys.batch)}"
            batch = self._known.batch[keys.batch]
            text += f", whose plug-in is {shown(batch)}"
            self._add(("submit", "plugin"), text, "name another batch, or leave submit.plugin out")
        return judged

    def _check_wms(self, steps: Mapping[str, Judged]) -> None:
        if "wms" in self._tree:
            return
        for step, judged in steps.items():
            if any(fault.kind == NO_PLUGIN for fault in judged.faults):
                continue
            if plugin_class("sched", step).needs & _WMS_FACTS:
                cure = 'set wms = "NAME" of a table [wms.NAME] here or in [defaults]'
                self._add(("chain",), f"step {step} needs a WMS and the queue has none", cure)
                return

    def _note(self, above: tuple[str, ...], faults: Iterable[Fault]) -> None:
        for fault in faults:
            # A table that is wrong as a whole is named itself, not the one that it stands in.
            place = self._place((*above, *(fault.keys or ("",))))
            text = fault.text(max(0, len(place.keys) - len(above)))
            self._tell(place, text, fault.cure)

    def _add(self, keys: tuple[str, ...], text: str, cure: str) -> None:
        self._tell(self._place(keys), text, cure)

    def _tell(self, place: _Place, text: str, cure: str) -> None:
        table = dotted([*place.top, *place.keys])
        self.problems.append(Problem(place.where, table, text, cure, place.override))

    def _place(self, keys: tuple[str, ...]) -> _Place:
        """Find who wrote the value at `keys`, and the table that it stands in."""
        found = blame(self._tree, keys) if keys else None
        if found is None or found[1].layer == BUILT_IN:
            return _Place(self._where, self._table)
        at, leaf = found
        top = ("defaults",) if leaf.layer == DEFAULTS else self._table
        inner = (keys if len(keys) <= len(at) else at)[:-1]
        return _Place(leaf.where, top, inner, at if leaf.layer == OVERRIDE else ())


def _without_plugin(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "plugin"}
