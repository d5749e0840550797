"""Layers merged key by key: which value wins, and who is named for it."""

from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.errors import SettingsError
from core.settings.keys import dotted, split
from core.settings.layers import Layer, Leaf, Tree, blame, leaves, merge, plain


def merged(*tables: dict[str, Any]) -> Tree:
    layers = (Layer(f"layer{n}", f"file{n}", table) for n, table in enumerate(tables))
    return reduce(merge, layers, {})


@pytest.mark.parametrize(
    ("tables", "result"),
    [
        ([{"a": 1}, {"b": 2}], {"a": 1, "b": 2}),
        ([{"a": 1}, {"a": 2}], {"a": 2}),
        ([{"t": {"a": 1, "b": 1}}, {"t": {"b": 2}}], {"t": {"a": 1, "b": 2}}),
        ([{"l": [1, 2]}, {"l": [3]}], {"l": [3]}),
        ([{"l": [1, 2]}, {"l": []}], {"l": []}),
        ([{"a": {"b": 1}}, {"a": 5}], {"a": 5}),
        ([{"a": 5}, {"a": {"b": 1}}], {"a": {"b": 1}}),
        # Tagged tables: another plug-in starts afresh, the same one is merged.
        ([{"s": {"plugin": "x", "k": 1}}, {"s": {"plugin": "x", "j": 2}}],
         {"s": {"plugin": "x", "k": 1, "j": 2}}),
        ([{"s": {"plugin": "x", "k": 1}}, {"s": {"plugin": "y", "j": 2}}],
         {"s": {"plugin": "y", "j": 2}}),
        ([{"s": {"plugin": "x", "k": 1}}, {"s": {"j": 2}}],
         {"s": {"plugin": "x", "k": 1, "j": 2}}),
        ([{"s": {"plugin": "x", "k": 1}}, {"s": {"plugin": "y"}}, {"s": {"plugin": "x"}}],
         {"s": {"plugin": "x"}}),
    ],
)  # fmt: skip
def test_later_wins_key_by_key(tables: list[dict[str, Any]], result: dict[str, Any]) -> None:
    assert plain(merged(*tables)) == result


def test_every_value_knows_the_layer_that_set_it() -> None:
    tree = merged({"t": {"a": 1, "b": 1}, "l": [1]}, {"t": {"b": 2}}, {"l": [9]})
    assert {dotted(keys): (leaf.value, leaf.layer, leaf.where) for keys, leaf in leaves(tree)} == {
        "t.a": (1, "layer0", "file0"),
        "t.b": (2, "layer1", "file1"),
        "l": ([9], "layer2", "file2"),
    }


def test_merging_leaves_the_layers_below_as_they_were() -> None:
    below = merged({"t": {"a": 1}})
    merge(below, Layer("above", "", {"t": {"a": 2}, "x": 1}))
    assert plain(below) == {"t": {"a": 1}}


def test_the_nearest_value_is_blamed() -> None:
    tree = merged({"t": {"a": {"b": 1}}, "x": 2})
    first = Leaf(1, "layer0", "file0")
    assert blame(tree, ("t", "a", "b")) == (("t", "a", "b"), first)
    assert blame(tree, ("t",)) == (("t", "a", "b"), first), "a table is its first value"
    assert blame(tree, ("t", "missing")) == (("t", "a", "b"), first), "so is one that lacks a key"
    assert blame(tree, ("x", "y", "z")) == (("x",), Leaf(2, "layer0", "file0")), "what is above"
    assert blame({}, ("x",)) is None


tables = st.recursive(
    st.integers() | st.booleans() | st.lists(st.integers(), max_size=2),
    lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), tables, max_size=3), min_size=1))
def test_a_value_is_the_one_that_its_layer_wrote(written: list[dict[str, Any]]) -> None:
    for keys, leaf in leaves(merged(*written)):
        node: Any = written[int(leaf.layer.removeprefix("layer"))]
        for key in keys:
            node = node[key]
        assert node == leaf.value


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_a_dotted_key_is_one_printable_line_and_reads_back(parts: list[str]) -> None:
    key = dotted(parts)
    assert key.isprintable()
    assert split(key) == tuple(parts)


@pytest.mark.parametrize(
    "key",
    ["", ".", "a.", "a b", "a = 1", "a = 0 #", "a\nb", "a\n[b]\nc", 'a."', "'a'", "a . b", "[a]"],
)
def test_what_is_no_dotted_key_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="is no key"):
        split(key)
