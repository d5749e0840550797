"""Layers of tables merged key by key; every value remembers which layer it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

BUILT_IN = "built-in"
DEFAULTS = "defaults"
QUEUE = "queue"
OVERRIDE = "override"


class Leaf(NamedTuple):
    """A value that is no table, and where it comes from."""

    value: Any
    layer: str
    where: str


Tree: TypeAlias = "dict[str, Leaf | Tree]"
"""Never changed once made: layers above share what they do not touch."""


class Layer(NamedTuple):
    """One table as somebody wrote it."""

    name: str
    where: str
    """File, for a person."""
    table: Mapping[str, Any]


def merge(below: Tree, layer: Layer) -> Tree:
    """Return `below` with the layer's values put over it.

    Tables are merged; lists and plain values replace. A table that names another `plugin` than
    the one below it replaces it whole: the keys of one plug-in mean nothing to another.
    """
    return _merge(below, layer.table, layer)


def _merge(below: Tree, table: Mapping[str, Any], layer: Layer) -> Tree:
    if "plugin" in table and "plugin" in below and plain(below["plugin"]) != table["plugin"]:
        below = {}
    merged = dict(below)
    for key, value in table.items():
        if isinstance(value, Mapping):
            under = merged.get(key)
            merged[key] = _merge(under if isinstance(under, dict) else {}, value, layer)
        else:
            merged[key] = Leaf(value, layer.name, layer.where)
    return merged


def plain(node: "Leaf | Tree") -> Any:
    """Return the values without their layers."""
    if isinstance(node, Leaf):
        return node.value
    return {key: plain(below) for key, below in node.items()}


def leaves(tree: Tree, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield every value with its keys."""
    for key, node in tree.items():
        if isinstance(node, Leaf):
            yield (*above, key), node
        else:
            yield from leaves(node, (*above, key))


def blame(tree: Tree, keys: Sequence[str]) -> tuple[tuple[str, ...], Leaf] | None:
    """Return the value at `keys` with its own keys, or the nearest: above it, else first below."""
    node: Leaf | Tree = tree
    for depth, key in enumerate(keys):
        if isinstance(node, Leaf):
            return tuple(keys[:depth]), node
        if key not in node:
            return _first(node, tuple(keys[:depth]))
        node = node[key]
    return (tuple(keys), node) if isinstance(node, Leaf) else _first(node, tuple(keys))


def _first(tree: Tree, above: tuple[str, ...]) -> tuple[tuple[str, ...], Leaf] | None:
    return next(leaves(tree, above), None)
