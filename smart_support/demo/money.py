"""Integer cents as text. No arithmetic, no currency conversion."""


def readable(cents: int, currency: str) -> str:
    """`124.00 EUR`, as a customer reads it."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100:,}.{abs(cents) % 100:02} {currency}"


def exact(cents: int, currency: str) -> str:
    """`124.00 EUR (12,400 cents)`, as a person who decides on it reads it."""
    return f"{readable(cents, currency)} ({cents:,} cents)"
