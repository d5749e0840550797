"""Values as they are typed, and forms as they are told."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PositiveFloat

from apftui.values import parse, shown, span
from core.model.plugin import Params
from core.settings.forms import forms


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("50", {"type": "integer"}, 50),
        (" 0.5 ", {"type": "number"}, 0.5),
        ("true", {"type": "boolean"}, True),
        ('["a", "b"]', {"type": "array"}, ["a", "b"]),
        ('"50"', {}, "50"),
        ("50", {"type": "string"}, "50"),
        ('"50"', {"type": "string"}, "50"),
        ("BNL_PROD", {}, "BNL_PROD"),
        ("many", {"type": "integer"}, "many"),
        ("1\nother = 2", {}, "1\nother = 2"),
        ("nan", {"type": "number"}, "nan"),
        ("[inf]", {}, "[inf]"),
        ("2026-11-25", {}, "2026-11-25"),
        ("", {"type": "integer"}, ""),
        ("{a = 1}", {}, {"a": 1}),
        ("$(reboot)", {"type": "string"}, "$(reboot)"),
    ],
)
def test_parse(text: str, form: dict[str, Any], value: object) -> None:
    assert parse(text, form) == value
    assert type(parse(text, form)) is type(value)


@given(st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.lists(st.sampled_from(["a b", 'q"'])))
def test_what_is_shown_can_be_typed_again(value: object) -> None:
    assert parse(shown(value), {}) == value


class Inner(Params):
    failed: PositiveFloat = Field(default=1.0, description="Share.")
    choice: Literal["a", "b"] = "a"


class Outer(Params):
    inner: Inner = Inner()
    again: Inner | None = None
    name: str | None = Field(default=None, min_length=1, description="A name.")
    count: int = Field(ge=1, le=9, json_schema_extra={"unit": "pilots"})
    free: dict[str, int] = Field(default={}, description="Anything.")
    several: tuple[str, ...] = ()
    either: int | str = 0


def test_tables_become_dotted_values_whole_in_themselves() -> None:
    found = forms(Outer)
    assert list(found) == [
        ("inner", "failed"), ("inner", "choice"), ("again", "failed"), ("again", "choice"),
        ("name",), ("count",), ("free",), ("several",), ("either",),
    ]  # fmt: skip
    assert "$ref" not in repr(found)
    assert found["name",] == {"type": "string", "minLength": 1, "description": "A name."}
    assert found["count",]["unit"] == "pilots"
    assert [span(form) for form in found.values()] == [
        ">0", "a|b", ">0", "a|b", "text", "1..9", "table", "list of text", "",
    ]  # fmt: skip


class Within(Params):
    within: "Within | None" = None
    n: int = 0


def test_a_model_within_itself_ends() -> None:
    assert ("n",) in forms(Within)
