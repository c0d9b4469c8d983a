"""Reads words, ids, amounts, percentages, e-mail addresses and dates from a text. English only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

# Synonyms: each key stands for all words of its value.
_SAME = {
    "cancel": "cancel cancels cancelled canceled cancelling canceling cancellation abort void revoke undo",
    "refund": "refund refunds refunded refunding reimburse reimbursement repay repaid moneyback",
    "status": "status state progress happening",
    "track": "track tracking where parcel parcels package packages shipment arrive arrives arriving arrival "
    "arrived shipped delivered tracked located location whereabouts delivery",
    "discount": "discount discounts discounted off reduction reduce cheaper percent",
    "coupon": "coupon coupons voucher vouchers promo promotion",
    "address": "address addresses destination street",
    "update": "update updates change changes changed changing modify edit correct redirect",
    "human": "human humans person people someone somebody representative manager supervisor colleague "
    "complaint complain escalate escalation operator staff",
    "find": "find search list lists show which lookup look browse",
    "order": "order orders ordered purchase purchases",
    "next": "next later future upcoming",
    "create": "create creates make makes generate generates issue new add open",
    "delete": "delete deletes remove removes erase close",
    "invoice": "invoice invoices bill bills",
    "subscription": "subscription subscriptions plan plans",
    "customer": "customer customers client clients account accounts",
    "pay": "pay pays paid payment payments charge charged",
    "money": "money cash",
    "send": "send sends sent mail email",
    "upgrade": "upgrade downgrade switch",
    "transfer": "transfer transfers transferred transferring wire move moves moved moving",
    "block": "block blocks blocked blocking lock",
    "cost": "cost costs price prices pricing",
}
CANONICAL = {word: base for base, group in _SAME.items() for word in group.split()}
STOP = frozenset(
    word
    for line in (
        "a an the my your his her our their its it this that these those i you he she we they me him them to",
        "of for in on at by with from and or but if is are was were be been am do does did can could would",
        "should will may might please just also then so as up out about into what when how who have has had",
        "get got give gives want wants need needs like one ones thing hello hi hey thanks thank there here",
        "not no yes any some all what's i'd i'm it's because since after before only number current latest",
        "given whole help",
    )
    for word in line.split()
)
NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
NUMBER_WORDS |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12}
NUMBER_WORDS |= {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
PERCENT = re.compile(r"(?<![\d.])(-?\d{1,4}(?:\.\d+)?|[a-z]+)\s*(?:%|percent\b|per\s+cent\b|procent\b)", re.I)
_CURRENCY = r"(?:€|\$|£|eur|euros?|usd|dollars?|bucks|gbp|pounds?|chf|francs?)"
# `1,250.00`, `1250`, `12,5`. Without a currency, a number with two decimals that is no percentage is money.
_MONEY = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:[.,]\d{1,2})?)(?![\d])"
_BARE = r"(?<![\w.,-])(?:\d{1,3}(?:,\d{3})+|\d+)\.\d{2}(?![\w.%]|,\d|\s*(?:%|percent|per cent))"
AMOUNT = re.compile(
    rf"(?:{_CURRENCY}\s?({_MONEY})|(?<![\d.,])({_MONEY})\s?{_CURRENCY}(?!\w))|(\d+)\s?cents?\b|({_BARE})",
    re.I,
)
DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
DAYS = re.compile(r"\b(\d{1,3})\s*(?:(?:more|extra|additional|further|trial|free)\s+){0,2}days?\b", re.I)
IDENTIFIER = re.compile(
    r"(?<![\w.@/-])#?([A-Z]{1,6}-?\d{2,12}|[a-z]{2,6}-\d{3,12}|[A-Z]{1,4}(?:-[A-Z0-9]+)+|\d{3,12})(?![\w@%]|\.\d|-\w)"
)
SHORT_NUMBER = re.compile(
    r"\b(?P<noun>[A-Za-z]{3,}) #?(?P<number>\d{1,2})(?![\w@%]|[.,:/-]\w)(?= ?(?P<next>[A-Za-z']*))"
)
_VERBS = "give|cancel|refund|make|tell|send|apply|create|change|track|transfer|block|dispute|upgrade|extend"
_REASON = re.compile(
    rf"\b(?:because|since)\b(?:(?!\s+(?:and|then|also)\s+(?:please\s+)?(?:{_VERBS})\b)[^.!?;])*|"
    r",\s*(?:it|they|that|which)\s+"
    r"(?:is|was|were|are|has|had|does|did|arrived|came|broke|looks|never|got|got|won't|doesn't|didn't)\b[^.!?;]*",
    re.I,
)
_NEXT_REQUEST = re.compile(
    r"[,.;]?\s+(?:and|then|also)\s+(?:also\s+|then\s+|please\s+)*"
    rf"(?:{_VERBS}|where|what|i|can|could)\b",
    re.I,
)
_TRAILING = re.compile(r"[\s,.!]*\b(?:instead|please|thanks|thank you)?[\s.!,]*$", re.I)
_BREAK = re.compile(
    r"(?:[.!?;\n]+\s+|[;\n]+|,?\s+(?:and|then|plus)\s+(?:also\s+|then\s+|please\s+)?|,\s+(?:also\s+|then\s+)?|"
    r"\s+also\s+(?=i|please|can|could))",
    re.I,
)


# Each pattern above takes time that grows with the square of the length of a word or gap, and no word, number
# or address that the rules look for is longer than this.
MAX_WORD_CHARS = 80
_LONG = re.compile(rf"(\S{{{MAX_WORD_CHARS}}})\S+|(\s{{2}})\s+")


def shortened(text: str) -> str:
    """Cut long words, and long gaps between words."""
    return _LONG.sub(lambda match: match.group(1) or match.group(2), text)


@lru_cache(maxsize=2048)
def terms(text: str) -> tuple[str, ...]:
    """The significant words in order, each replaced by its canonical synonym."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ").lower()
    spaced = re.sub(r"\bmoney\s+back\b|\bpaid\s+back\b|\bpay\w*\s+(?:\w+\s+){0,3}back\b", "refund", spaced)
    spaced = re.sub(r"\bcall(?:ed)?\s+off\b", "cancel", spaced).replace("%", " percent ")
    words = re.findall(r"[a-z][a-z']+", spaced)
    return tuple(_base(word) for word in words if word not in STOP)


def _base(word: str) -> str:
    if word in CANONICAL:
        return CANONICAL[word]
    for ending in ("ings", "ing", "ies", "es", "s", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            stem = word[: -len(ending)] + ("y" if ending == "ies" else "")
            return CANONICAL.get(stem, stem)
    return word


@dataclass(frozen=True, slots=True)
class Mention:
    """An id in a text, with its kind: the word before it, such as `order` or `invoice`."""

    value: str
    kind: str


@lru_cache(maxsize=256)
def identifiers(text: str) -> tuple[Mention, ...]:
    """Ids in order, without percentages, amounts, dates, days, e-mail and postal addresses."""
    hidden = [DATE, EMAIL, PERCENT, AMOUNT, DAYS]
    for pattern in hidden:
        text = pattern.sub(lambda match: " " * len(match.group()), text)
    if "address" in terms(text) and (address := _address_span(text)):
        text = text[: address[0]] + " " * (address[1] - address[0]) + text[address[1] :]
    ids = {
        match.start(1): match.group(1)
        for match in IDENTIFIER.finditer(text)
        if any(character.isdigit() for character in match.group(1))
    }
    # A short number is an id only as the name of the thing before it: "ticket 12", not "2 tickets".
    for match in SHORT_NUMBER.finditer(text):
        if _base(match["noun"].lower()) not in STOP and match["next"].lower() in ("", *STOP, "and"):
            ids.setdefault(match.start("number"), match["number"])
    return tuple(Mention(value, _word_before(text, place)) for place, value in sorted(ids.items()))


def _word_before(text: str, place: int) -> str:
    before = terms(text[max(0, place - 40) : place])
    return before[-1] if before else ""


def percents(text: str) -> list[float]:
    """Percentages in order."""
    return [value for match in PERCENT.finditer(text) if (value := _number(match.group(1))) is not None]


def cents(text: str) -> list[int]:
    """Amounts of money in order, in cents."""
    amounts = []
    for match in AMOUNT.finditer(text):
        before, after, in_cents, bare = match.groups()
        amounts.append(int(in_cents) if in_cents else _in_cents(before or after or bare))
    return amounts


def _in_cents(amount: str) -> int:
    """`1,250.00` and `1,250` have a comma for thousands, `12,50` and `12,5` for decimals."""
    normalized = re.sub(r",(?=\d{3})", "", amount).replace(",", ".")
    return round(float(normalized) * 100)


def quantities(text: str) -> list[float]:
    """Numbers without a unit in order, as digits or words."""
    words = re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]*\w)|[a-z]+", text.lower())
    return [value for word in words if (value := _number(word)) is not None]


def days(text: str) -> list[int]:
    """Numbers of days in order."""
    return [int(days) for days in DAYS.findall(text)]


def emails(text: str) -> list[str]:
    """E-mail addresses in order."""
    return [email.rstrip(".") for email in EMAIL.findall(text)]


def dates(text: str) -> list[str]:
    """ISO 8601 dates in order."""
    return list(DATE.findall(text))


def reason(text: str) -> str | None:
    """The text after `because`, `since`, `reason:`, or a comma and `it`, `they`, `I` or `the`."""
    match = re.search(r"\b(?:because(?:\s+of)?|since|reason:?)\s+(.{3,300}?)\s*[.!?]?$", text, re.I | re.S)
    match = match or re.search(r",\s*((?:it|they|i|the)\s.{3,200}?)\s*[.!?]?$", text, re.I | re.S)
    return match.group(1).strip() if match else None


def address(text: str) -> str | None:
    """A postal address: the text after `to`, with letters and a digit."""
    span = _address_span(text)
    return _TRAILING.sub("", text[span[0] : span[1]]).strip() if span else None


def _address_span(text: str) -> tuple[int, int] | None:
    for match in re.finditer(r"\b(?:to|is|address:)\s+(?=(.{6,200})$)", text, re.I | re.S):
        rest = match.group(1)
        if not (rest[0].isdigit() or rest[0].isupper()):
            continue  # "I want to cancel ...": no address begins like that
        if (
            re.search(r"\d", rest)
            and re.search(r"[^\W\d]{3}", rest)
            and not re.match(r"(?:order|#)", rest, re.I)
        ):
            return match.end(), match.end() + len(_NEXT_REQUEST.split(rest)[0])
    looks = re.match(r"\s*((?:\d+\w?\s+[^\W\d]|[^\W\d][\w .'-]+\s\d+\w?\s*,).{4,200})$", text, re.S)
    return (looks.start(1), len(text)) if looks else None


def clauses(text: str) -> Iterator[str]:
    """Split a text into parts that may be separate requests; addresses and reasons stay whole."""
    held: dict[str, str] = {}

    def hold(match: re.Match[str]) -> str:
        key = f"\x00{len(held)}\x00"
        held[key] = match.group()
        return key

    kept = _REASON.sub(hold, text)
    if {"address", "update"} & set(terms(kept)) and (span := _address_span(kept)):
        start, end = span
        kept = kept[:start] + re.sub(r"(?s).+", hold, kept[start:end]) + kept[end:]
    for piece in _BREAK.split(kept):
        whole = re.sub("\x00\\d+\x00", lambda match: held[match.group()], piece).strip()
        if whole.strip(" ,.!?"):
            yield whole


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return NUMBER_WORDS.get(word.lower())
