"""The table of characters without ink is what Unicode says."""

import regex

from smart_support.invisible import RANGES, SYMBOLS

_WITHOUT_INK = regex.compile(
    r"[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Zs}]|\p{Default_Ignorable_Code_Point}|\p{Noncharacter_Code_Point}"
)
_DRAWN_BLANK = {0x2800, 0xFFFC, 0x13441, 0x13442, 0x16FE4, 0x1D159}
_PLAIN = {ord("\t"), ord("\n"), ord(" ")}


def test_the_table_is_derived_from_unicode() -> None:
    expected = {code for code in range(0x110000) if _WITHOUT_INK.match(chr(code))} | _DRAWN_BLANK
    listed = {code for first, last in RANGES for code in range(first, last + 1)}
    assert sorted(map(hex, listed ^ (expected - _PLAIN))) == []


def test_a_symbol_has_ink() -> None:
    for first, last in SYMBOLS:
        assert not any(start <= last and first <= end for start, end in RANGES)
