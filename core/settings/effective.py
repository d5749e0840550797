"""The values that count for one queue, each with its layer, and the hash that names them."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from core.settings.keys import dotted
from core.settings.known import Judged
from core.settings.layers import BUILT_IN, Leaf, Tree, leaves
from core.settings.schema import EffectiveValue

_ORDER = (
    "wms",
    "wms_queue",
    "resource_type",
    "labels",
    "batch",
    "submit",
    "wrapper",
    "wrapper_parameters",
    "attributes",
    "environment",
    "chain",
    "apf_compat",
    "sched",
    "paused",
    "drain",
)


def effective_values(
    tree: Tree, steps: Mapping[str, Judged], submit: Judged
) -> tuple[EffectiveValue, ...]:
    """Return all that counts for the queue, also what plug-ins set by themselves.

    `steps` are those of the chain: parameters of others count for nothing.
    """
    found = {keys: leaf for keys, leaf in leaves(tree) if keys[0] != "sched" or keys[1] in steps}
    for above, judged in (
        *((("sched", step), judged) for step, judged in steps.items()),
        (("submit",), submit),
    ):
        for keys, value in judged.unset.items():
            if value is not None:
                found[*above, *keys] = Leaf(value, BUILT_IN, "")
    return tuple(
        EffectiveValue(key=dotted(keys), value=leaf.value, layer=leaf.layer, where=leaf.where)
        for keys, leaf in sorted(
            found.items(), key=lambda item: (_ORDER.index(item[0][0]), item[0])
        )
    )


def revision_of(values: Iterable[EffectiveValue]) -> str:
    """Return a short hash of keys, values and layers, the same in every process."""
    told = sorted((v.key, json.dumps(v.value, sort_keys=True), v.layer) for v in values)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
