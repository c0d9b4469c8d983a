"""Amounts of money as text."""

_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}


def format_money(cents: int, currency: str = "") -> str:
    """Return an amount as text: `€124.00`, `-£0.05`, `CHF 1,250.00`; `124.00` without a currency."""
    symbol = _SYMBOLS.get(currency, f"{currency} " if currency else "")
    sign = "-" if cents < 0 else ""
    return f"{sign}{symbol}{abs(cents) // 100:,}.{abs(cents) % 100:02}"
