"""Chooses a tool for a request, and its arguments, from names, descriptions and schemas alone.

No tool is special here, so that imported tools work the same way.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from smart_support.demo.model import intent, language
from smart_support.demo.model.intent import Part
from smart_support.demo.model.language import Mention, terms
from smart_support.demo.model.words import base, is_misspelt, word_set

NAME_WEIGHT, DESCRIPTION_WEIGHT = 3.0, 1.0
ENOUGH = 1.0
MISSING_ID_PENALTY, ID_BONUS = -2.5, 1.0
VALUE_BONUS, VERB_BONUS, HUMAN_BONUS = 1.5, 0.5, 4.0
_MAIL = terms("e-mail")[0]
MAX_CALLS = 8
# At most so many parts of a text are separate requests; the rest belongs to the last one.
MAX_CLAUSES = 40
# The word before a value, by the first part of its name: `from_account`, `to_account`, `new_plan`.
_LEADS = {"from": "from", "source": "from", "to": "to", "target": "to", "new": "to"}
_EXAMPLE = re.compile(r"\b([A-Z]{1,6})-\d+\b")
# Who speaks or what it is about, in a clause of its own: "my e-mail is ann@example.com", "I'm CU-1001".
_SPEAKER = re.compile(
    r"\W*(?:(?:my|the|our) (?:\S+ ){0,3}(?:is|are)|i am|i'm|it is|it's|this is|"
    r"you can reach me at) (?:[^\W\d]+,? ){0,2}\S*[\d@]\S*\W*$",
    re.I,
)
# Nothing but what it is about: "order 1071", "account C-2004", "for 1064 please".
_VALUE = re.compile(
    r"\W*(?:(?:my|the|our|for|on|of|is|its|customer|client|order|account|subscription|"
    r"number|card|payee|ticket|no|nr|id|ref|reference)\W+){0,4}(?:#|[A-Z]{1,6}-|"
    r"[€$£])?\d[\d.,-]*(?:\s?(?:%|percent|euros?|pounds?|"
    r"dollars?|days?))?(?: please| thanks?)?\W*$",
    re.I,
)
# What customers ask for and many tools can't do: a tool that reads is no answer to it.
_CHANGES = word_set(
    "lower raise unblock unfreeze unlock reset rename reactivate restore exchange swap replace pause "
    "resume "
    "reopen renew delete merge combine split reschedule postpone update create discount"
)
_IT = re.compile(r"\b(?:it|that|this|them)\b", re.I)
_NUMBER_EXAMPLE = re.compile(r"\bexample \d")
# Refunds that are not the whole amount.
_PARTLY = re.compile(
    r"\b(?:half|part|partly|partial(?:ly)?|some|third|quarter|difference|rest|"
    r"(?:shipping|delivery) (?:costs?|fees?))\b|%",
    re.I,
)
_EVERYDAY = frozenset(["track", "order", "pay", "cost", "refund", "send"])
# What a tool that changes nothing is called, or described by.
_READS = word_set(
    "get list find search show check lookup look read view fetch retrieve query describe count track "
    "download "
    "export browse escalate withdraw"
)
_READ_DESCRIPTION = re.compile(
    r"(?:gets?|lists?|shows?|finds?|search(?:es)?|returns?|reads?|retrieves?)\b", re.I
)
ID_NAME = re.compile(r"(?:^|_)(?:id|number|no|ref|reference|code|key|sku)$|Id$|Number$")
FREE_TEXT = frozenset(
    [
        "reason",
        "comment",
        "note",
        "notes",
        "message",
        "description",
        "text",
        "details",
        "summary",
        "subject",
        "body",
    ]
)


@dataclass(frozen=True)
class ToolDescription:
    """A tool's name, description and argument schemas."""

    name: str
    description: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: Sequence[str] = ()

    @classmethod
    def from_function(cls, function: Mapping[str, Any]) -> "ToolDescription":
        """Read a bound tool in OpenAI's format."""
        inner = function.get("function", function)
        schema = inner.get("parameters") or {}
        properties = {
            str(name): _resolved(part, schema)
            for name, part in (schema.get("properties") or {}).items()
            if isinstance(part, Mapping)
        }
        required = [name for name in schema.get("required") or () if name in properties]
        return cls(str(inner["name"]), str(inner.get("description") or ""), properties, required)

    @property
    def words(self) -> str:
        """`Cancel order` for `cancel_order`."""
        return re.sub(r"([a-z])([A-Z])", r"\1 \2", self.name).replace("_", " ").capitalize()

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing, as its name says, or its description where the name has no verb."""
        first = self.words.partition(" ")[0].lower()
        return first in _READS or (base(first) == first and bool(_READ_DESCRIPTION.match(self.description)))


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """The schema of a property with references resolved, and without null as a type."""
    if depth > 4:
        return {}
    reference = part.get("$ref")
    if isinstance(reference, str):
        target: Any = schema.get("$defs") or schema.get("definitions") or {}
        target = target.get(reference.rsplit("/", 1)[-1]) if isinstance(target, Mapping) else None
        return _resolved(target, schema, depth + 1) if isinstance(target, Mapping) else {}
    for option in (*(part.get("anyOf") or ()), *(part.get("oneOf") or ())):
        if isinstance(option, Mapping) and option.get("type") != "null":
            return {**_resolved(option, schema, depth + 1), "description": part.get("description", "")}
    if isinstance(part.get("type"), list):
        kinds = [kind for kind in part["type"] if kind != "null"]
        return {**part, "type": kinds[0] if kinds else "string"}
    return part


class Vocabulary:
    """Weighs the words of a set of tools: a word that many tools share counts less."""

    def __init__(self, tools: Iterable[ToolDescription]) -> None:
        # A tool of several agents counts once.
        self.tools = list({tool.name: tool for tool in tools}.values())
        self._in_names = Counter(term for tool in self.tools for term in set(terms(tool.name)))
        self._anywhere = Counter(
            term for tool in self.tools for term in {*terms(tool.name), *terms(tool.description)}
        )
        of_reads = {term for tool in self.tools if tool.is_read for term in terms(tool.name)}
        # What the tools that write do.
        self.actions = frozenset(self._in_names) - of_reads
        writes = [tool for tool in self.tools if not tool.is_read]
        self._verbs = intent.ACTIONS | {term for tool in writes for term in terms(tool.name)[:1]}

    def score(self, tool: ToolDescription, text: str) -> float:
        """How well a text's words fit a tool."""
        name, description = set(terms(tool.name)), set(terms(tool.description))
        score = 0.0
        for term in set(terms(text)):
            if term in name:
                score += NAME_WEIGHT / self._in_names[term]
            elif term in description:
                score += DESCRIPTION_WEIGHT / self._anywhere[term]
        # "It should go to 5 Elm Road", "my mail is ann@example.com": these need no verb.
        if "address" in name and language.address(text):
            score += VALUE_BONUS
        if "human" in name and language.wants_human(text):
            score += HUMAN_BONUS
        # What to do counts more than what to do it with: "refund the shipping".
        if terms(tool.name)[:1] and terms(tool.name)[0] in self.actions & {*terms(text)}:
            score += VERB_BONUS
        if _finds_by_email(tool) and language.emails(text):
            score += VALUE_BONUS
        return score

    def best(
        self, text: str, mood: intent.Mood = "request", *, ids: bool = False
    ) -> tuple[ToolDescription | None, float]:
        """The tool that fits best, and its score.

        Args:
            mood: of the text; only a request leads to a tool that writes.
            ids: a tool whose id is in the text is preferred.
        """
        scored = [
            (self.score(tool, text) + (_id_bonus(tool, text) if ids else 0), tool)
            for tool in self.tools
            if mood == "request" or tool.is_read
        ]
        if not scored:
            return None, 0.0
        score, tool = max(scored, key=lambda item: item[0])
        if not tool.is_read and not self._says_what_it_does(text, tool):
            # What a write changes is named for lookups as well: "payments on my savings account".
            reads = [item for item in scored if item[1].is_read and item[0] >= ENOUGH + ids * ID_BONUS]
            score, tool = max(reads, key=lambda item: item[0], default=(score, tool))
        return (tool, score) if score > 0 else (None, 0.0)

    def _says_what_it_does(self, text: str, tool: ToolDescription) -> bool:
        said, name = set(terms(text)), terms(tool.name)
        of_it = said & {*name, *terms(tool.description)}
        is_said = bool(of_it & {*name[:1], *intent.ACTIONS}) or any(
            self._anywhere[term] == 1 for term in of_it
        )
        return is_said or ("address" in name and bool(language.address(text)))

    def fits(self, text: str) -> bool:
        """Whether a tool fits a text well enough to act on it."""
        return self.best(text)[1] >= ENOUGH

    def choose(self, part: Part, *, ids: bool = False) -> ToolDescription | None:
        """The tool for a part of a message, or None."""
        if self.is_beyond(part):
            return None
        tool, score = self.best(part.text, part.mood, ids=ids)
        if tool is None and ids and part.mood == "request":
            tool, score = self.best(part.text)
            ids = False
        if part.mood == "idea" and self.best(part.text, ids=ids)[1] > score:
            return None  # it asks about a write
        if (
            tool
            and _finds_by_email(tool)
            and language.identifiers(part.text)
            and not language.emails(part.text)
            and not any(_ids_like_the_examples(part.text, one) for one in tool.properties.values())
        ):
            return self._lookup(part.text) or tool
        enough = ENOUGH if part.mood == "request" else ENOUGH / 2
        if tool is not None and ids:
            # A tool that reads may be chosen by an id alone; what changes something must be said.
            by_words = ENOUGH / 2 if self._says_what_it_does(part.text, tool) else ENOUGH
            enough = -ENOUGH if tool.is_read else by_words + _id_bonus(tool, part.text)
        if tool is not None and score >= enough:
            return tool
        asks = part.mood != "request" or language.asks_for_news(part.text)
        return self._lookup(part.text) if asks else None

    def has_verb(self, text: str) -> bool:
        """Whether a text says what a tool that writes does; a percentage alone does not."""
        return bool(self._verbs & {*terms(language.PERCENT.sub("", text))})

    def is_beyond(self, part: Part) -> bool:
        """Whether a part requests a change that no tool makes, such as a higher limit."""
        said, names = terms(part.text), frozenset(self._in_names)
        is_known = names & {*said[:1], *(self._verbs & {*said})}
        return part.mood == "request" and not is_known and bool(_CHANGES & {*said[:1]})

    def questioned_tool(self, part: Part) -> ToolDescription | None:
        """The tool that writes and that a part asks how to use, without requesting it."""
        tool, score = self.best(part.text)
        if part.mood != "idea" or not intent.asks_how(part.text) or score < ENOUGH:
            return None
        return tool if tool and not tool.is_read else None

    def knows(self, text: str) -> bool:
        """Whether a tool reads what a general question is about; an order's tools know no opening hours."""
        about = " ".join(term for term in terms(text) if term not in _EVERYDAY)
        return bool(language.identifiers(text)) or self.best(about, "state")[1] >= ENOUGH

    def finds_by_email(self) -> bool:
        """Whether a tool finds things by an e-mail address."""
        return any(map(_finds_by_email, self.tools))

    def _lookup(self, text: str) -> ToolDescription | None:
        """The tool that shows the thing whose id or e-mail address is in a text."""
        ids, is_email = language.identifiers(text), bool(language.emails(text))
        if not ids and not is_email:
            return None

        def fitness(tool: ToolDescription) -> float:
            words = set(terms(f"{tool.name} {tool.description}"))
            if is_email and not ids:
                return float(_MAIL in words)
            prefixes = set(_EXAMPLE.findall(tool.description))
            kinds = {ids[0].kind, ids[0].value.upper().partition("-")[0]}
            return float("status" in words) + 0.5 * bool(kinds & ({*terms(tool.name)} | prefixes))

        reads = [tool for tool in self.tools if tool.is_read and "human" not in terms(tool.name)]
        best = max(reads, key=fitness, default=None)
        return best if best and fitness(best) else None


def _finds_by_email(tool: ToolDescription) -> bool:
    return tool.is_read and _MAIL in terms(tool.description)


def _id_bonus(tool: ToolDescription, text: str) -> float:
    ids = language.identifiers(text)
    needed = [name for name in tool.required if kind_of(name, tool.properties[name]) == "id"]
    if needed:
        has_id = any(_like_the_examples(name, ids, tool.properties[name]) for name in needed)
        return ID_BONUS if has_id else MISSING_ID_PENALTY
    if any(_ids_like_the_examples(text, part) for part in tool.properties.values()):
        return ID_BONUS / 2
    takes_id = any(
        kind_of(name, part) == "id" or _ids_like_the_examples(text, part)
        for name, part in tool.properties.items()
    )
    if takes_id or not (ids or (tool.is_read and language.emails(text) and not _finds_by_email(tool))):
        return 0.0
    return MISSING_ID_PENALTY if tool.is_read else MISSING_ID_PENALTY / 2


def split_requests(text: str, vocabulary: Vocabulary) -> list[Part]:
    """Split a text into parts, each for one tool; a clause without a tool joins the part before it.

    What the text says no to is in none of them.
    """
    parts: list[Part] = []
    for part in _clauses(text, vocabulary):
        if not parts or _are_separate(parts[-1], part, vocabulary):
            parts.append(part)
            continue
        before = parts[-1]
        gap = " and " if language.identifiers(part.text) else ", "
        parts[-1] = Part(before.text + gap + part.text, _common_mood(before, part, vocabulary))
    return parts


def _common_mood(one: Part, two: Part, vocabulary: Vocabulary) -> intent.Mood:
    """The mood of the part that fits a tool; where that says nothing, it is no request."""
    if _is_value(one):
        return two.mood
    for part in (one, two):
        if one.mood != two.mood and vocabulary.fits(part.text):
            return part.mood
    return two.mood if one.mood == "request" else one.mood


def _is_value(part: Part) -> bool:
    """Whether a part says only who speaks, or what it is about."""
    return bool(_SPEAKER.match(part.text) or _VALUE.match(part.text))


def _clauses(text: str, vocabulary: Vocabulary) -> list[Part]:
    parts = [
        Part(clause, part.mood)
        for part in intent.read(text, vocabulary.actions).parts
        for clause in language.clauses(part.text)
    ]
    first, others = parts[:MAX_CLAUSES], parts[MAX_CLAUSES:]
    if others:
        mood: intent.Mood = "idea" if any(part.mood != "request" for part in others) else "request"
        first.append(Part(", ".join(part.text for part in others), mood))
    return first


def _are_separate(one: Part, two: Part, vocabulary: Vocabulary) -> bool:
    """Whether two clauses are two requests: both fit a tool, not the same one unless there is a new "
    "value."""
    if any(_SPEAKER.match(part.text) for part in (one, two)):
        return False
    if _VALUE.match(two.text) and not vocabulary.has_verb(two.text):
        return False
    if not (vocabulary.fits(one.text) and vocabulary.fits(two.text)):
        return False
    is_read = (tool := vocabulary.best(one.text)[0]) is not None and tool.is_read
    if is_read and one.mood == two.mood and not intent.has_value(two.text) and _IT.search(two.text):
        return False
    new = language.identifiers(two.text) or language.percents(two.text) or language.emails(two.text)
    return (
        bool(new) or one.mood != two.mood or vocabulary.best(one.text)[0] is not vocabulary.best(two.text)[0]
    )


def kind_of(name: str, part: Mapping[str, Any]) -> str:
    """The kind of value that a property takes: `id`, `email`, `percent`, `cents`, `date` and so on."""
    lowered, described = name.lower(), str(part.get("description") or "").lower()
    type_ = part.get("type", "string")
    if part.get("enum"):
        return "enum"
    if "email" in lowered or "e-mail" in lowered or part.get("format") == "email":
        return "email"
    if "percent" in lowered or lowered.endswith("pct") or (type_ != "string" and "percent" in described):
        return "percent"
    if lowered.endswith("cents") or (type_ == "integer" and re.search(r"\bcents\b|minor unit", described)):
        return "cents"
    if lowered in ("amount", "price", "total", "value") and type_ in ("number", "integer"):
        return "amount"
    if "days" in lowered:
        return "days"
    if "date" in lowered.split("_") or part.get("format") in ("date", "date-time"):
        return "date"
    if "address" in lowered:
        return "address"
    if lowered in FREE_TEXT or lowered.rsplit("_", 1)[-1] in FREE_TEXT:
        return "reason"
    if ID_NAME.search(name) and type_ in ("string", "integer"):
        return "id"
    return str(type_) if isinstance(type_, str) else "string"


def plan_calls(
    tool: ToolDescription, request: str, history: Sequence[BaseMessage]
) -> tuple[list[dict[str, Any]], str | None]:
    """The arguments of each call that a request needs, or the name of a missing required argument."""
    args: dict[str, Any] = {}
    several: tuple[str, list[Any]] | None = None
    kinds = {name: kind_of(name, part) for name, part in tool.properties.items()}
    takes_money = not language.cents(request) and bool({"cents", "amount"} & {*kinds.values()})
    # An amount needs to know which numbers are ids.
    for name in sorted(tool.properties, key=lambda one: kinds[one] != "id"):
        part, needed = tool.properties[name], name in tool.required
        if takes_money and kinds[name] in ("cents", "amount"):
            amounts = language.bare_amounts(
                request, [str(args.get(one)) for one in kinds if kinds[one] == "id"]
            )
            values: list[Any] = [
                _as_number(cents if kinds[name] == "cents" else cents / 100) for cents in amounts
            ]
        else:
            values = _values(name, part, request, history, needed=needed)
        if takes_money and kinds[name] == "id" and len(values) > 1:
            values = [one for one in values if str(one) not in language.amounts_of(request)] or values
        is_partly = kinds[name] in ("cents", "amount") and bool(_PARTLY.search(request))
        if not values and (needed or is_partly):
            return [], name
        if values:
            args[name] = values[0]
        if kinds[name] == "id" and needed and len(values) > 1 and several is None:
            several = name, values
    if several:
        name, values = several
        return [args | {name: value} for value in values[:MAX_CALLS]], None
    return [args], None


def _as_number(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _values(
    name: str, part: Mapping[str, Any], request: str, history: Sequence[BaseMessage], *, needed: bool
) -> list[Any]:
    kind = kind_of(name, part)
    if kind == "enum":
        return _enum(name, part["enum"], request)
    if kind == "id":
        return _ids(name, part, request, history, needed=needed)
    if kind == "email":
        emails = language.emails(request) or _ids_like_the_examples(request, part)
        return emails or (_said_before(name, history, language.emails) if needed else [])
    if kind in ("percent", "days", "cents", "amount"):
        return _quantities(kind, part, request)
    if kind == "date":
        return language.dates(request)
    if kind == "address":
        return [address] if (address := language.address(request)) else []
    if kind == "reason":
        reason = language.reason(request)
        return [reason] if reason else [request] if needed else []
    if kind in ("integer", "number"):
        values = language.quantities(request) if needed else []
        return [int(value) if kind == "integer" else value for value in values]
    if kind == "boolean":
        return [True] if needed else []
    if kind == "array":
        inner = part.get("items")
        return (
            [values]
            if isinstance(inner, Mapping) and (values := _ids(name, inner, request, history, needed=needed))
            else []
        )
    if kind == "string" and needed:
        quoted = re.findall(r"[\"“']([^\"”']{1,200})[\"”']", request)
        return quoted or [request]
    return []


def _quantities(kind: str, part: Mapping[str, Any], request: str) -> list[Any]:
    if kind == "percent":
        values: Sequence[float] = language.percents(request)
    elif kind == "days":
        values = language.days(request)
    elif kind == "cents":
        values = language.cents(request)
    else:
        values = [value / 100 for value in language.cents(request)]
    is_whole = part.get("type") == "integer"
    return [int(value) if is_whole else _as_number(value) for value in values]


def _enum(name: str, options: Sequence[Any], request: str) -> list[Any]:
    """The option that the text names; for `from_account`, the one after the word `from`."""
    lowered = request.lower()
    words = {option: str(option).lower().replace("_", " ") for option in options if _hashable(option)}
    named = sorted((option for option in words if words[option] in lowered), key=lambda one: -len(words[one]))
    named = named or [option for option in words if is_misspelt(words[option], lowered)]
    lead = _LEADS.get(name.partition("_")[0])
    led = [one for one in named if lead and re.search(rf"\b{lead} (?:\w+ )?{re.escape(words[one])}", lowered)]
    # An option after the opposite word belongs to the other argument: "to savings" names no source.
    other = lead and next(word for word in ("from", "to") if word != lead)
    free = [one for one in named if not re.search(rf"\b{other} (?:\w+ )?{re.escape(words[one])}", lowered)]
    return (led or free if lead else named)[:1]


def _hashable(option: Any) -> bool:
    return isinstance(option, str | int | float | bool | None)


def _ids(
    name: str, part: Mapping[str, Any], request: str, history: Sequence[BaseMessage], *, needed: bool
) -> list[Any]:
    def of_kind(text: str) -> list[Any]:
        mentions: Sequence[Mention] = language.identifiers(text)
        noun = next(iter(terms(name)), "")
        named = [one for one in mentions if one.kind == noun]
        mentions = named if named and len(named) < len(mentions) else mentions
        return [_typed(one, part) for one in _like_the_examples(name, mentions, part)]

    ids = [value for value in of_kind(request) if value is not None]
    if not ids and needed:
        ids = _said_before(name, history, of_kind)[:1]
    return list(dict.fromkeys(ids))


def _ids_like_the_examples(request: str, part: Mapping[str, Any]) -> list[str]:
    """The ids that an argument takes beside an e-mail address, such as `C-2001`."""
    examples = set(_EXAMPLE.findall(str(part.get("description") or "")))
    ids = language.identifiers(request)
    return [one.value for one in ids if one.value.upper().partition("-")[0] in examples]


def _like_the_examples(name: str, mentions: Sequence[Mention], part: Mapping[str, Any]) -> Sequence[Mention]:
    """The mentions that look like an example in the description, such as `CU-1001`, or are called so."""
    described = str(part.get("description") or "")
    examples, has_number = set(_EXAMPLE.findall(described)), bool(_NUMBER_EXAMPLE.search(described))
    if has_number == bool(examples):
        return mentions  # there is no example, or they differ
    if has_number:
        return [one for one in mentions if one.value.isdigit()]
    alike = [one for one in mentions if one.value.upper().partition("-")[0] in examples]
    return alike or [one for one in mentions if one.kind in terms(name)]


def _typed(mention: Mention, part: Mapping[str, Any]) -> Any:
    if part.get("type") != "integer":
        return mention.value
    return int(mention.value) if mention.value.isdigit() else None


def _said_before(name: str, history: Sequence[BaseMessage], find: Any) -> list[Any]:
    """The last value of this name in the conversation: in a tool call's arguments or a customer's "
    "message."""
    for message in reversed(history):
        if isinstance(message, AIMessage):
            for call in reversed(message.tool_calls):
                if call["args"].get(name):
                    return [call["args"][name]]
        elif isinstance(message, HumanMessage) and (values := find(str(message.text))):
            return [values[-1]]
    return []
