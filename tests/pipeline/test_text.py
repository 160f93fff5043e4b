"""Text of others on its way to people: what is not plainly seen is escaped, and JSON stays exact."""

import json
import sys
import unicodedata
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import is_text, json_text, shown, shown_lines

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
UNSAFE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain name.mp4", "plain name.mp4"),
        ("Grüße, 世界 é 😀 [red]x[/red].mp4", "Grüße, 世界 é 😀 [red]x[/red].mp4"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\r\tc\x00\x07\x7f", r"a\nb\r\tc\x00\x07\x7f"),
        ("a\x9b31mb\x85", r"a\x9b31mb\x85"),
        ("evil\u202egpj.mp4", r"evil\u202egpj.mp4"),
        ("\u200e\u200f\u202a\u202b\u202c", r"\u200e\u200f\u202a\u202b\u202c"),
        ("\u202d\u2066\u2067\u2068\u2069", r"\u202d\u2066\u2067\u2068\u2069"),
        ("\u2028\u2029\u200b\u200d\u2060\ufeff\u00ad", r"\u2028\u2029\u200b\u200d\u2060\ufeff\xad"),
        ("\udcff\ud800", r"\udcff\ud800"),
        ("\U000e0041\U0010ffff\ue000\u0378", r"\U000e0041\U0010ffff\ue000\u0378"),
        ("\u3164\u2800", r"\u3164\u2800"),
    ],
)  # fmt: skip
def test_what_is_not_plainly_seen_is_escaped_and_nothing_else(text: str, safe: str) -> None:
    assert shown(text) == safe


def test_no_character_there_is_comes_through_that_is_not_plainly_seen() -> None:
    planes = (range(0x3400), range(0xD700, 0x10300), range(0xE0000, 0xE0200), range(sys.maxunicode - 9, sys.maxunicode))
    for char in map(chr, chain(*planes)):
        safe = shown(char)
        assert (safe.isascii() and safe.isprintable()) or unicodedata.category(safe) not in UNSAFE, safe


@given(ANY_TEXT)
def test_shown_text_is_one_line_and_lines_of_our_own_stay_lines(text: str) -> None:
    assert len(shown(text).splitlines()) <= 1
    assert shown_lines(f"{text}\nsecond".replace("\r", "")).split("\n")[-1] == "second"


@given(st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT)), st.booleans())
def test_json_is_read_back_exactly_and_holds_nothing_that_is_not_plainly_seen(
    document: dict[str, list[str]], ascii_only: bool
) -> None:
    text = json_text(document, ascii_only=ascii_only)
    # What json cannot tell apart itself: two halves that were written beside each other are one character.
    assert json.loads(text) == json.loads(json.dumps(document))
    assert not {unicodedata.category(char) for char in text.replace("\n", "")} & UNSAFE
    assert text.isascii() or not ascii_only


def test_a_name_that_is_not_utf_8_keeps_its_bytes_in_json() -> None:
    name = b"\xff\xe9.mp4".decode("utf-8", "surrogateescape")
    assert json.loads(json_text([name]))[0].encode("utf-8", "surrogateescape") == b"\xff\xe9.mp4"
    assert not is_text(name)
    assert is_text("é😀\0")
