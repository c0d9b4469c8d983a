"""Cents as text: exact at any size and sign."""

from hypothesis import given
from hypothesis import strategies as st

from smart_support.demo.money import exact, readable


def test_money_is_written_for_a_customer_and_for_a_lead() -> None:
    assert readable(12_400, "EUR") == "124.00 EUR"
    assert readable(5, "GBP") == "0.05 GBP"
    assert readable(-1_205, "EUR") == "-12.05 EUR"
    assert readable(123_456_789, "EUR") == "1,234,567.89 EUR"
    assert exact(12_400, "EUR") == "124.00 EUR (12,400 cents)"


@given(st.integers(-(2**53), 2**53))
def test_no_cent_is_lost_in_the_text(cents: int) -> None:
    digits = readable(cents, "EUR").removesuffix(" EUR").replace(",", "").replace(".", "")
    assert int(digits) == cents
