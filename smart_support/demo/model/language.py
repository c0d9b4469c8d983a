"""Reads words, ids, amounts, percentages, e-mail addresses and dates from a text. English only."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from smart_support.demo.model.words import STOP, base, word_set

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
DAYS = re.compile(
    r"\b(\d{1,3})\s*(?:(?:more|extra|another|additional|further|trial|free)\s+){0,2}days?\b", re.I
)
IDENTIFIER = re.compile(
    r"(?<![\w.@/-])#?([A-Z]{1,6}-?\d{2,12}|[a-z]{2,6}-\d{3,12}|[A-Z]{1,4}(?:-[A-Z0-9]+)+|"
    r"\d{3,12})(?![\w@%]|\.\d|-\w)"
)
SHORT_NUMBER = re.compile(
    r"\b(?P<noun>[A-Za-z]{3,}) #?(?P<number>\d{1,2})(?![\w@%]|[.,:/-]\w)(?= ?(?P<next>[A-Za-z']*))"
)
_VERBS = "give|cancel|refund|make|tell|send|apply|create|change|track|transfer|block|dispute|upgrade|extend"
_REASON = re.compile(
    rf"\b(?:because|since)\b(?:(?!\s+(?:and|then|also)\s+(?:please\s+)?(?:{_VERBS})\b)[^.!?;])*|"
    r",\s*(?:it|they|that|which)\s+"
    r"(?:is|was|were|are|has|had|does|did|arrived|came|broke|looks|never|got|got|won't|doesn't|"
    r"didn't)\b[^.!?;]*",
    re.I,
)
_NEXT_REQUEST = re.compile(
    r"[,.;]?\s+(?:and|then|also)\s+(?:also\s+|then\s+|please\s+)*"
    rf"(?:{_VERBS}|where|what|i|can|could)\b",
    re.I,
)
_ADDRESS_START = re.compile(
    r"\d{1,4}\s?[a-zA-Z]?\s+(?=[^\W\d])(?=[^\W\d_](?<=[A-Z\u00c0-\u00de])\w|[^,]{0,40},|"
    r"(?i:[\w ]{0,30}\b(?:street|st|"
    r"road|rd|lane|avenue|ave|rue|via|calle|square|court|drive|way)\b))|[^\W\d_](?<=[A-Z\u00c0-\u00de])"
)
# "To my office, 44 Baker Street".
_PLACE = re.compile(r"(?:my|our|the|his|her)\s+(?:[^\W\d]+\s+){0,2}[^\W\d]+(?:'s)?\s*[,:]\s+(?=\d|[A-Z])")
_AFTER_ADDRESS = re.compile(
    rf"{_NEXT_REQUEST.pattern}|[,.]?\s+(?:please |and ){{0,2}}(?:(?:for|of|on) )?(?:my |the )?order\b", re.I
)
_TRAILING = re.compile(r"(?:[\s,.!?]*\b(?:instead|please|thanks|thank you)\b)?[\s,.!?]*$", re.I)
_NEWS = re.compile(
    r"\b(?:news|updates? (?:on|for|about)|check(?:ing)?|waiting (?:for|on)|late|delayed|gets? here|coming|"
    r"come|expect|"
    r"received|arriv\w+|what(?:'s| is) (?:up|going on)|look(?:ing)? (?:up|into|at)|took so long|not here|"
    r"isn't here|"
    r"what about|how about|wonder\w*|heard|question|any idea|eta|details?|info|information|(?:in|"
    r"en)quir\w+|show me|tell me about|dispatch\w*|moved|"
    r"on its way)\b|^\W*(?:order |number |no\.? )*\d{3,}\W+(?:please|pls|plz|thanks?)\W*$",
    re.I,
)
_HUMAN = re.compile(
    r"\b(?:talk|speak|chat|connect me|transfer me|hand me over|put me through|get me|"
    r"pass me)\b[^.?!]{0,20}\b(?:to|with|through)?\b"
    r"[^.?!]{0,20}\b(?:human|person|people|agent|someone|somebody|colleague|manager|supervisor|adviser|"
    r"advisor|boss|staff|"
    r"representative|operator)\b|\b(?:real|live|actual) (?:human|person|agent)\b|\bcall me\b|"
    r"\bcomplain(?:t|ts|ing)?\b|\b(?:want|"
    r"need|get) (?:me )?(?:a|your|the|to) "
    r"(?:\w+ )?(?:human|person|agent|colleague|manager|supervisor|adviser|advisor|boss)\b",
    re.I,
)
_UPSET = re.compile(
    r"\b(?:ridiculous|unacceptable|disappoint\w*|(?<!tell me )a joke|joking|angry|furious|fed up|"
    r"frustrat\w*|annoy\w*|"
    r"terrible|awful|unbelievable|"
    r"worst|disgrac\w*|useless|outrag\w*|pathetic|shame|sick of|had enough|how much longer|"
    r"taking (?:so long|forever|ages)|"
    r"for ages|(?:second|third|fourth|fifth|2nd|3rd|4th) time|wait(?:ing|ed)?\b[^?.]{0,40}\b(?:days|"
    r"weeks?|months?|ages|long)|"
    r"still (?:waiting|not|nothing|isn'?t|hasn'?t|haven'?t|no)|late again|not good enough|upset|unhappy|"
    r"wtf|damn|hate|bullshit|crap|shit|idiots?|what the hell)\b",
    re.I,
)
_HELP = re.compile(r"\b(?:help|do something)\b", re.I)
_BREAK = re.compile(
    r"(?:[.!?;\n]+\s+|[;\n]+|,?\s+(?:and|then|plus)\s+(?:also\s+|then\s+|please\s+)?|,\s+(?:also\s+|"
    r"then\s+)?|"
    r"\s+also\s+(?=i|please|can|could))",
    re.I,
)


# "5 Elm Road, Leeds" or "Hauptstr. 5, 10115 Berlin", as a whole text.
_STREET = re.compile(
    r"\s*((?:\d{1,4}\w?\s+[A-Z\u00c0-\u00de][^\W\d]|(?!(?i:order|parcel|package|ticket|invoice|card|"
    r"where)\b)"
    r"[A-Z\u00c0-\u00de][\w.'-]*(?: [\w.'-]+){0,3}\s\d{1,4}\w?\s*,\s*[A-Z\d]).{4,200})$",
    re.S,
)
_AFTER_IDS = word_set("and open opens closed again today tomorrow still yet")
# After these words a short number is an amount, not the name of a thing.
_NOT_OWNERS = STOP | {"refund", "transfer", "pay", "send", "money", "discount", "update", "create", "arrive"}
_AMOUNT_IN_WORDS = re.compile(
    rf"\b({'|'.join(NUMBER_WORDS)})\b(?=\s*(?:euros?|pounds?|dollars?|bucks|(?:of|for|from|back)\b|$))", re.I
)
_WEEKS = re.compile(r"\b(\d{1,2}|an?|another|one|two|three|four)\s+(?:more\s+|extra\s+)?weeks?\b", re.I)
_ID_WITH_LETTERS = re.compile(r"#\d+|\b[A-Za-z]{1,6}-\d+")
_NUMBER = re.compile(rf"(?<![\w.,#-]){_MONEY}(?![\w-])")
# "20 of 1044", "20 back on 1044": the first number is no id.
_AMOUNT_OF = re.compile(r"(?<![\w.,#-])(\d{1,6})\s+(?:back\s+)?(?:of|for|on|from|off|to)\b", re.I)

# Each pattern above takes time that grows with the square of the length of a word or gap, and no word, number
# or address that the rules look for is longer than this.
MAX_WORD_CHARS = 80
_LONG = re.compile(rf"(\S{{{MAX_WORD_CHARS}}})\S+|(\s{{2}})\s+")


def shortened(text: str) -> str:
    """Cut long words, and long gaps between words."""
    return _LONG.sub(lambda match: match.group(1) or match.group(2), text)


# Several words that mean what one word does.
_PHRASES = (
    (re.compile(r"'s\b"), " "),
    (re.compile(r"\brefund\b[^.?!%]{0,20}%"), "refund"),
    (re.compile(r"%"), " percent "),
    (re.compile(r"\bstop(?=\s+(?:(?:my|our|the)\s+)?(?:order|subscription|plan|delivery)\b)"), "cancel"),
    (
        re.compile(
            r"\b(?:ship|send|deliver|redirect|forward)\s+(?:it|them|that|this|(?:the|my) (?:order|parcel|"
            r"package)|"
            r"order|#?\d+)\b[^.?!]{0,30}?\b(?:to(?!\s+\w+-\d)|instead)\b"
        ),
        "update address",
    ),
    (re.compile(r"\bcall(?:ed)?\s+off\b"), "cancel"),
    (re.compile(r"\bget\s+rid\s+of\b"), "cancel"),
    (
        re.compile(
            r"\b(?:kill|drop|ditch|scrap)(?=\s+(?:(?:my|our|the|this)\s+)?(?:order|subscription|plan|"
            r"contract)\b)"
        ),
        "cancel",
    ),
    (re.compile(r"\b(?:is|are)\s+(?:still\s+)?open\b"), " "),
    (re.compile(r"\bunsubscribe\b"), "cancel subscription"),
    (re.compile(r"\b(?:end|quit)(?=\s+(?:(?:my|our|the)\s+)?(?:subscription|plan|contract)\b)"), "cancel"),
    (re.compile(r"\b(?:pull|bring)\s+up\b"), "show"),
    (
        re.compile(r"\b(?:put|shift|bring|take)\b(?=[^.?!]{1,30}\bfrom\b[^.?!]{1,20}\b(?:in|on)?to\b)"),
        "transfer",
    ),
    (
        re.compile(
            r"\b(?:move|switch|change|put|bring|go)\b(?=[^.?!]{1,40}\b(?:on|to|onto)\b[^.?!]{1,20}\bplan\b)"
        ),
        "upgrade",
    ),
    # "An update on 1042" asks for news and changes nothing.
    (
        re.compile(
            r"\b(?:(?:an|any|some|status|quick)\s+updates?|updates?(?=\s+(?:on|about|"
            r"regarding)))\b"
        ),
        "status",
    ),
    (re.compile(r"\bpayments\b|\b(?:recent|latest|last|past|my|our)\s+payment\b"), "invoices transactions"),
    (re.compile(r"\b(?:makes?|made)\s+it\b|\bgets?\s+here\b"), "arrive"),
    (
        re.compile(
            r"\bmoney\s+back\b|\b(?:return|refund)\s+(?:me\s+)?(?:my|the|our)\s+money\b|\b(?:pa(?:id|"
            r"y\w*)|give\w*|send|return)\s+(?:\S+\s+){0,3}back\b"
        ),
        "refund",
    ),
    (re.compile(r"\d\s*(?:[^\W\d]\w*|[€$£])?\s+back\b"), " refund "),
)


@lru_cache(maxsize=2048)
def terms(text: str) -> tuple[str, ...]:
    """The significant words in order, each replaced by its canonical synonym."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", EMAIL.sub(" ", text)).replace("_", " ").lower()
    for phrase, word in _PHRASES:
        spaced = phrase.sub(word, spaced)
    words = re.findall(r"[a-z][a-z']+", spaced)
    return tuple(base(word) for word in words if word not in STOP)


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
        if base(match["noun"].lower()) not in _NOT_OWNERS and match["next"].lower() in (
            "",
            *STOP,
            *_AFTER_IDS,
        ):
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
    """Numbers of days in order; a week has seven."""
    weeks = [7 * int(_number(number) or 1) for number in _WEEKS.findall(text)]
    return [int(days) for days in DAYS.findall(text)] + weeks


def bare_amounts(text: str, ids: Sequence[str]) -> list[int]:
    """Numbers without a currency that are none of these ids, in order, as cents: "refund 20 of 1044"."""
    for pattern in (DATE, EMAIL, PERCENT, DAYS, _ID_WITH_LETTERS):
        text = pattern.sub(" ", text)
    digits = [number for number in _NUMBER.findall(text) if number not in ids]
    in_words = [str(NUMBER_WORDS[word.lower()]) for word in _AMOUNT_IN_WORDS.findall(text)]
    return [_in_cents(number) for number in digits or in_words]


def amounts_of(text: str) -> list[str]:
    """Numbers that are an amount of something, because `of` or the like comes after them."""
    return _AMOUNT_OF.findall(text)


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


def wants_human(text: str) -> bool:
    """Whether somebody asks for a person, whatever it is about."""
    return bool(_HUMAN.search(text))


def is_upset(text: str) -> bool:
    """Whether somebody is angry or has waited for long."""
    return bool(_UPSET.search(text))


def asks_for_news(text: str) -> bool:
    """Whether a text that names something only asks what is new of it: "order 1042?"."""
    return (
        bool(_NEWS.search(text))
        or is_upset(text)
        or (text.rstrip(" !").endswith("?") and not _HELP.search(text))
    )


def address(text: str) -> str | None:
    """A postal address: the text after `to`, with letters and a digit."""
    span = _address_span(text)
    return _TRAILING.sub("", text[span[0] : span[1]]).strip() if span else None


def _address_span(text: str) -> tuple[int, int] | None:
    for match in re.finditer(r"(?:\b(?:to|is|be|it's|use)|:)\s+(?=(.{6,200})$)", text, re.I | re.S):
        place = _PLACE.match(match.group(1))
        start = match.end() + (place.end() if place else 0)
        rest = match.group(1)[place.end() :] if place else match.group(1)
        if not _ADDRESS_START.match(rest):
            continue  # "I want to cancel ...", "it is 1042": no address begins like that
        if (
            re.search(r"(?<![\w-])\d", rest)
            and re.search(r"[^\W\d]{3}", rest)
            and not re.match(r"(?:order|#)", rest, re.I)
        ):
            return start, start + len(_AFTER_ADDRESS.split(rest)[0])
    looks = _STREET.match(text)
    return (looks.start(1), len(text)) if looks else None


def clauses(text: str) -> Iterator[str]:
    """Split a text into parts that may be separate requests; addresses and reasons stay whole."""
    held: dict[str, str] = {}

    def hold(match: re.Match[str]) -> str:
        key = f"\x00{len(held)}\x00"
        held[key] = match.group()
        return key

    kept = _REASON.sub(hold, text)
    span = _address_span(kept)
    if span and ("," in kept[slice(*span)] or {"address", "update"} & set(terms(kept))):
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
