"""Amounts of money as text.

Systems count money in a currency's smallest unit. Most have 100 of them in one; the yen has none, the Kuwaiti
dinar has 1,000. So the same number is ¥2,500 or €25.00.
"""

_SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}
# The currencies of ISO 4217 with another number of decimals than two.
DECIMALS = {
    code: decimals
    for decimals, codes in (
        (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    )
    for code in codes.split()
}


def format_money(minor: int, currency: str = "") -> str:
    """Return an amount as text: `€124.00`, `-£0.05`, `¥2,500`, `CHF 1,250.00`; `124.00` without a currency.

    Args:
        minor: in the smallest unit of the currency; in hundredths without one.
        currency: its code in ISO 4217.
    """
    symbol = _SYMBOLS.get(currency, f"{currency} " if currency else "")
    sign = "-" if minor < 0 else ""
    decimals = DECIMALS.get(currency, 2)
    whole, rest = divmod(abs(minor), 10**decimals)
    return f"{sign}{symbol}{whole:,}" + (f".{rest:0{decimals}}" if decimals else "")
