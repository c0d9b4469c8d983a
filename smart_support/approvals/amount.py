"""The money that a call moves, found in its arguments, its facts and its effect."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Whole numbers of a currency's smallest unit. A plain `amount` is none of them: some APIs count it in cents,
# others in euros.
_FIELDS = ("amount_cents", "amount_minor")
_CODE = re.compile(r"[A-Za-z]{3}")
_SYMBOLS = {"€": "EUR", "£": "GBP", "$": "USD"}
_MONEY = re.compile(r"-?(?:(?P<symbol>[€£$])|(?P<code>[A-Z]{3}) )(?P<number>\d[\d,]*\.\d\d)(?!\d)")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money.

    Attributes:
        minor: in the currency's smallest unit, which is a hundredth of most.
        currency: its code in ISO 4217; None where the call does not say it.
    """

    minor: int
    currency: str | None

    def wire(self) -> dict[str, Any]:
        """The amount as interfaces show it."""
        return {"minor": self.minor, "currency": self.currency}


def amount_of(
    args: Mapping[str, Any], facts: Mapping[str, Any] | None, effect: Sequence[Mapping[str, str]] | None
) -> Amount | None:
    """The amount of a call; None where it moves no money or does not say how much.

    An argument says more than a fact. The currency is that of the facts or the arguments, else that of the
    line of the effect with the same amount.
    """
    minor = _first(args, *_FIELDS) or _first(facts or {}, *_FIELDS)
    if not minor:
        return None
    named = (facts or {}).get("currency") or args.get("currency")
    is_code = isinstance(named, str) and _CODE.fullmatch(named)
    return Amount(minor, str(named).upper() if is_code else _in_effect(minor, effect or ()))


def _first(values: Mapping[str, Any], *names: str) -> int | None:
    given = (values.get(name) for name in names)
    return next((value for value in given if type(value) is int), None)


def _in_effect(minor: int, effect: Sequence[Mapping[str, str]]) -> str | None:
    for line in effect:
        for match in _MONEY.finditer(line.get("after", "")):
            if int(re.sub(r"[,.]", "", match["number"])) == abs(minor):
                return match["code"] or _SYMBOLS[match["symbol"]]
    return None
