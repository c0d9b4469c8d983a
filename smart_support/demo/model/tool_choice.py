"""Chooses a tool for a request, and its arguments, from names, descriptions and schemas alone.

No tool is special here, so that imported tools work the same way.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from smart_support.demo.model import language
from smart_support.demo.model.language import Mention, terms

NAME_WEIGHT, DESCRIPTION_WEIGHT = 3.0, 1.0
ENOUGH = 1.0
MISSING_ID_PENALTY, ID_BONUS = -2.5, 1.0
MAX_CALLS = 8
# At most so many parts of a text are separate requests; the rest belongs to the last one.
MAX_CLAUSES = 40
# The word before a value, by the first part of its name: `from_account`, `to_account`, `new_plan`.
_LEADS = {"from": "from", "source": "from", "to": "to", "target": "to", "new": "to"}
_EXAMPLE = re.compile(r"\b([A-Z]{2,6})-\d+\b")
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

    def score(self, tool: ToolDescription, text: str) -> float:
        """How well a text's words fit a tool."""
        name, description = set(terms(tool.name)), set(terms(tool.description))
        score = 0.0
        for term in set(terms(text)):
            if term in name:
                score += NAME_WEIGHT / self._in_names[term]
            elif term in description:
                score += DESCRIPTION_WEIGHT / self._anywhere[term]
        return score

    def best(self, text: str, *, ids: bool = False) -> tuple[ToolDescription | None, float]:
        """The tool that fits best, and its score; with `ids`, a tool whose id is in the text is preferred."""
        scored = [
            (self.score(tool, text) + (_id_bonus(tool, text) if ids else 0), tool) for tool in self.tools
        ]
        if not scored:
            return None, 0.0
        score, tool = max(scored, key=lambda item: item[0])
        return (tool, score) if score > 0 else (None, 0.0)

    def fits(self, text: str) -> bool:
        """Whether a tool fits a text well enough to act on it."""
        return self.best(text)[1] >= ENOUGH


def _id_bonus(tool: ToolDescription, text: str) -> float:
    needed = [name for name in tool.required if kind_of(name, tool.properties[name]) == "id"]
    has_id = bool(language.identifiers(text))
    if needed:
        return ID_BONUS if has_id else MISSING_ID_PENALTY
    takes_id = any(kind_of(name, part) == "id" for name, part in tool.properties.items())
    return MISSING_ID_PENALTY / 2 if has_id and not takes_id else 0.0


def split_requests(text: str, vocabulary: Vocabulary) -> list[str]:
    """Split a text into parts, each for one tool; a clause without a tool joins the part before it."""
    parts: list[str] = []
    for clause in _first_clauses(text):
        if not parts or _are_separate(parts[-1], clause, vocabulary):
            parts.append(clause)
        else:
            parts[-1] += f" and {clause}" if language.identifiers(clause) else f", {clause}"
    return parts


def _first_clauses(text: str) -> list[str]:
    clauses = list(language.clauses(text))
    first, others = clauses[:MAX_CLAUSES], clauses[MAX_CLAUSES:]
    return [*first, ", ".join(others)] if others else first


def _are_separate(one: str, two: str, vocabulary: Vocabulary) -> bool:
    """Whether two clauses are two requests: both fit a tool, not the same one unless there is a new value."""
    if not (vocabulary.fits(one) and vocabulary.fits(two)):
        return False
    new = language.identifiers(two) or language.percents(two) or language.emails(two)
    return bool(new) or vocabulary.best(one)[0] is not vocabulary.best(two)[0]


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
    for name, part in tool.properties.items():
        needed = name in tool.required
        values = _values(name, part, request, history, needed=needed)
        if not values and needed:
            return [], name
        if values:
            args[name] = values[0]
        if kind_of(name, part) == "id" and needed and len(values) > 1 and several is None:
            several = name, values
    if several:
        name, values = several
        return [args | {name: value} for value in values[:MAX_CALLS]], None
    return [args], None


def _values(
    name: str, part: Mapping[str, Any], request: str, history: Sequence[BaseMessage], *, needed: bool
) -> list[Any]:
    kind = kind_of(name, part)
    if kind == "enum":
        return _enum(name, part["enum"], request)
    if kind == "id":
        return _ids(name, part, request, history, needed=needed)
    if kind == "email":
        return language.emails(request) or (_said_before(name, history, language.emails) if needed else [])
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
    return [int(value) if is_whole or value == int(value) else value for value in values]


def _enum(name: str, options: Sequence[Any], request: str) -> list[Any]:
    """The option that the text names; for `from_account`, the one after the word `from`."""
    lowered = request.lower()
    words = {option: str(option).lower().replace("_", " ") for option in options if _hashable(option)}
    named = sorted((option for option in words if words[option] in lowered), key=lambda one: -len(words[one]))
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
        return [_typed(one, part) for one in _like_the_examples(mentions, part)]

    ids = [value for value in of_kind(request) if value is not None]
    if not ids and needed:
        ids = _said_before(name, history, of_kind)[:1]
    return list(dict.fromkeys(ids))


def _like_the_examples(mentions: Sequence[Mention], part: Mapping[str, Any]) -> Sequence[Mention]:
    """The mentions that look like an example in the description, such as `CU-1001`; all if none does."""
    examples = set(_EXAMPLE.findall(str(part.get("description") or "")))
    alike = [one for one in mentions if one.value.upper().partition("-")[0] in examples]
    return alike or mentions


def _typed(mention: Mention, part: Mapping[str, Any]) -> Any:
    if part.get("type") != "integer":
        return mention.value
    return int(mention.value) if mention.value.isdigit() else None


def _said_before(name: str, history: Sequence[BaseMessage], find: Any) -> list[Any]:
    """The last value of this name in the conversation: in a tool call's arguments or a customer's message."""
    for message in reversed(history):
        if isinstance(message, AIMessage):
            for call in reversed(message.tool_calls):
                if call["args"].get(name):
                    return [call["args"][name]]
        elif isinstance(message, HumanMessage) and (values := find(str(message.text))):
            return [values[-1]]
    return []
