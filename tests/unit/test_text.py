"""Text from outside, made harmless at the edge."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.text import clean

HARMLESS = [
    "",
    "BNL_PROD",
    "Zürich → Genève",
    "日本",
    "[/x] {{}} $(true) `x` 'q' \"",
    "a\\x1bb",
    "👍",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_can_be_seen_stays(text: str) -> None:
    assert clean(text) == text


SHOWN = [
    ("\x1b[2J", "\\x1b[2J"),
    ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
    ("a\nb\r\tc\0", "a\\x0ab\\x0d\\x09c\\x00"),
    ("\x7f\x80\x9b31m\x9f", "\\x7f\\x80\\x9b31m\\x9f"),
    ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
    ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
    ("\udc1b\ud800", "\\udc1b\\ud800"),
    ("\u200b\ufeff\xad", "\\u200b\\ufeff\\xad"),
    ("\U000e0041", "\\U000e0041"),
    ("a\xa0b\u3000c", "a\\xa0b\\u3000c"),
    ("\ue000\uffff", "\\ue000\\uffff"),
]


@pytest.mark.parametrize(("text", "shown"), SHOWN)
def test_what_acts_or_hides_is_made_visible(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_every_character_of_a_control_category() -> None:
    controls = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    hidden = [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in controls]
    assert len(hidden) > 2000
    for char in hidden:
        assert clean(char).startswith("\\")
        assert clean(char).isascii()
        assert int(clean(char)[2:], 16) == ord(char)


TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@given(TEXT, st.integers(1, 60))
def test_one_printable_line_no_longer_than_asked_and_clean_for_good(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= limit
    assert clean(shown, limit) == shown
    shown.encode()  # surrogates would raise


def test_what_is_cut_says_so() -> None:
    assert clean("x" * 1000) == "x" * 1000
    assert clean("x" * 1001) == "x" * 999 + "…"
    assert clean("abcdef", 4) == "abc…"
    assert clean("\x1b" * 4, 10) == "\\x1b\\x1b\\…"
    assert clean("é" * 10**7, 5) == "éééé…"
