"""Smallest units as text: exact at any size and sign."""

from hypothesis import given
from hypothesis import strategies as st

from smart_support.money import format_money


def test_money_is_written_for_a_customer_and_for_a_lead() -> None:
    assert format_money(12_400, "EUR") == "€124.00"
    assert format_money(5, "GBP") == "£0.05"
    assert format_money(-1_205, "EUR") == "-€12.05"
    assert format_money(123_456_789, "EUR") == "€1,234,567.89"
    assert format_money(12_400, "CHF") == "CHF 124.00"
    assert format_money(12_400) == "124.00"


def test_a_currency_has_the_decimals_of_the_standard() -> None:
    assert format_money(2_500, "JPY") == "¥2,500"
    assert format_money(-2_500, "KRW") == "-KRW 2,500"
    assert format_money(1_250, "KWD") == "KWD 1.250"
    assert format_money(5, "CLF") == "CLF 0.0005"


@given(st.integers(-(2**53), 2**53))
def test_no_cent_is_lost_in_the_text(cents: int) -> None:
    digits = format_money(cents, "EUR").replace("€", "").replace(",", "").replace(".", "")
    assert int(digits) == cents
