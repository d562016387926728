"""Text as one clean line, and its width."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avskrift.formats.plain_text import plain, reads_from_right, width


@given(st.text())
def test_plain_text_is_one_line_that_any_format_can_carry(text: str) -> None:
    shown = plain(text)
    assert shown == " ".join(shown.split())
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert plain(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u2028b", "a b"),
        ("a\tb\r\n c ", "a b c"),
        ("\ufeffhej", "hej"),
        ("h\x00e\x1bj", "hej"),
        ("\ud800hej\udfff", "hej"),
        ("a\ufffeb\ufdd0", "ab"),
        ("10\u00a0000", "10 000"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ],
)
def test_what_is_dropped_and_what_is_kept(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("hej", 3),
        ("åäö", 3),
        ("a\u030a", 1),
        ("今日は", 6),
        ("ｈｅｊ", 6),
        ("🙂", 2),
        ("👩\u200d👩\u200d👧", 2),
        ("👍🏽", 2),
        ("🇸🇪", 2),
        ("हिन्दी", 5),
        ("مرحبا", 5),
        ("می\u200cخواهم", 7),
        ("", 0),
    ],
)
def test_width_is_in_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "from_right"),
    [
        ("Hej مرحبا!", False),
        ("«مرحبا!» hej", True),
        ("12: שלום", True),
        ("\u200bمرحبا", True),
        ("Åke", False),
        ("字幕", False),
        ("12!", False),
        ("", False),
    ],
)
def test_the_first_letter_with_a_direction_decides_where_text_begins(text: str, from_right: bool) -> None:
    assert reads_from_right(text) is from_right
