"""What an operation does to the world, judged by rules on its method and words, each with its reason.

A write taken for a read is the error that matters, so what is unsure is a write with approval, and a POST is
only ever proposed as a read. The words are in vocabulary.py.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review import vocabulary

Access = Literal["read", "write"]
Kind = Literal["destructive", "money", "messages", "credentials"]
Risk = Literal["low", "medium", "high"]

_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("destructive", vocabulary.DESTRUCTIVE),
    ("money", vocabulary.MONEY),
    ("messages", vocabulary.MESSAGES),
    ("credentials", vocabulary.CREDENTIALS),
)
_GRAVE = frozenset({"destructive", "money", "credentials"})
# What generators put between the words of a path when they make an operationId of it.
_FILLERS = frozenset({"by", "the", "of", "with", "api", "controller", "using"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the rules say of an operation.

    Attributes:
        read_proposed: a POST that looks like a read: it stays a write until a reviewer says otherwise.
        needs_approval: of every write and of no read.
        agent: the group it belongs to, a legal name of an agent.
        customer_arguments: arguments that name the customer, those that say so outright first.
        risks: what could be lost by it.
        enabled: whether it is on before anybody has looked.
        reasons: one for each judgement, in words.
    """

    access: Access
    read_proposed: bool
    needs_approval: bool
    agent: str
    customer_arguments: tuple[str, ...]
    risk: Risk
    risks: tuple[Kind, ...]
    enabled: bool
    reasons: tuple[str, ...]


def classify(operation: Operation) -> Proposal:
    """Judge an operation by its method, path, operationId, tags and argument names.

    Its prose is never believed, except where it speaks against a read.
    """
    access, read_proposed, why_access = _access(operation)
    found = dict(_risks(operation, access))
    why_off = tuple(_why_off(operation, access, found))
    agent, why_agent = _group(operation)
    customers = _customers(operation)
    named = (f"Names the customer by {', '.join(customers)}.",) if customers else ()
    return Proposal(
        access=access,
        read_proposed=read_proposed,
        needs_approval=access == "write",
        agent=agent,
        customer_arguments=customers,
        risk=_risk(access, found),
        risks=tuple(found),
        enabled=not why_off,
        reasons=(why_access, *found.values(), *why_off, *named, why_agent),
    )


def _customers(operation: Operation) -> tuple[str, ...]:
    named = filter(vocabulary.names_customer, operation.schema.get("properties", {}))
    return tuple(sorted(named, key=lambda name: ("customer" not in name.lower(), name)))


def _access(operation: Operation) -> tuple[Access, bool, str]:
    method = operation.method.upper()
    if method in _READING:
        action = _action(operation) if method == "GET" else ""
        if action:
            return "write", False, f"GET with the action word '{action}': taken for a write."
        return "read", False, f"{method} without an action word: a read."
    if method != "POST":
        known = method in ("PUT", "PATCH", "DELETE")
        return (
            "write",
            False,
            f"{method} always writes." if known else "An unknown method: taken for a write.",
        )
    reading, changing = _reading(operation), _changing(operation)
    if changing:
        return "write", False, f"POST with '{changing}': a write."
    if reading:
        return "write", True, f"POST with '{reading}' and no word that changes: tick it if it only reads."
    return "write", False, "POST without a sign that it only reads: a write."


def _action(operation: Operation) -> str:
    """The word by which a GET acts, or nothing."""
    own, path = _own_name(operation), vocabulary.segments(operation.path)
    for name in (*_parts(own)[-1:], own, *path[-1:]):
        said = vocabulary.words(name)
        if said and vocabulary.acts(said[0]):
            return said[0]
        if said and said[-1] in vocabulary.VERBS and said[0] not in vocabulary.ASKS:
            return said[-1]
    everything = {word for name in (own, *path) for word in vocabulary.words(name)}
    return "export by mail" if everything & vocabulary.EXPORTS and everything & vocabulary.BY_MAIL else ""


def _reading(operation: Operation) -> str:
    """The word by which a POST looks like a read, or nothing.

    In a path it is a segment of its own, the last one unless it searches, with nothing variable at the end:
    `/mailing-list` and `/list/{id}` are things.
    """
    own = [vocabulary.words(part) for part in _parts(_own_name(operation))[-1:]]
    if own and own[0] and own[0][0] in vocabulary.READS:
        return own[0][0]
    path = vocabulary.segments(operation.path)
    if not path or vocabulary.ends_with_placeholder(operation.path):
        return ""
    if vocabulary.words(path[-1])[0] == "get":
        return "get"
    looking = [part.lower() for part in path if part.lower() in vocabulary.SEARCHES]
    return next((part for part in (path[-1].lower(), *looking) if part in vocabulary.READS), "")


def _changing(operation: Operation) -> str:
    """The first word, in the order of the alphabet, by which a POST changes something, or nothing."""
    names = [_own_name(operation), *vocabulary.segments(operation.path)]
    said = {word for name in names for word in vocabulary.words(name)}
    prose = vocabulary.words(operation.summary)
    leading = {word for word in vocabulary.stems(prose[:1]) if vocabulary.acts(word)}
    told = vocabulary.stems(prose) & {"create", "update", "delete", "remove", "save"}
    return min(
        said & vocabulary.ACTIONS | vocabulary.stems(names) & vocabulary.CHANGES | leading | told, default=""
    )


def _own_name(operation: Operation) -> str:
    """An operationId that somebody chose; one made from method and path counts as none."""
    method = operation.method.lower()
    chosen = [word for word in vocabulary.words(operation.operation_id) if not word.isdigit()]
    if method not in (chosen[:1] + chosen[-1:]):
        return operation.operation_id
    path = vocabulary.stems([operation.path])
    made = vocabulary.stems(chosen) <= path | _FILLERS | vocabulary.stems([method])
    return "" if made else operation.operation_id


def _parts(operation_id: str) -> list[str]:
    """`repos/delete`, `users.list` and `Users_SendReminder` as a thing and what is done with it."""
    mixed = operation_id != operation_id.lower()
    return [part for part in re.split(r"[/.:#_]+" if mixed else r"[/.:#]+|__+", operation_id) if part]


def _risks(operation: Operation, access: Access) -> Iterator[tuple[Kind, str]]:
    names = [_own_name(operation), *vocabulary.segments(operation.path)]
    said = vocabulary.stems(names)
    for kind, listed in _KINDS:
        found = min(said & listed, default="")
        if kind == "destructive" and operation.method.upper() == "DELETE":
            yield kind, "Destructive: DELETE."
        elif found and (access == "write" or kind == "credentials"):
            yield kind, f"{kind.capitalize()}: it says '{found}'."
        elif kind == "credentials" and any("password" in word or "apikey" in word for word in said):
            yield kind, "Credentials: a word of it holds 'password' or 'apikey'."


def _risk(access: Access, risks: dict[Kind, str]) -> Risk:
    if _GRAVE & risks.keys():
        return "high"
    return "medium" if access == "write" else "low"


def _why_off(operation: Operation, access: Access, risks: dict[Kind, str]) -> Iterator[str]:
    if operation.deprecated:
        yield "Off at first: deprecated."
    if "credentials" in risks:
        yield "Off at first: it deals with credentials."
    if _deletes_many(operation):
        yield "Off at first: it may delete more than one thing."
    if any(finding.severity == "error" for finding in operation.findings):
        yield "Off at first: its description has an error."
    if access == "write" and not (operation.summary.strip() or operation.description.strip()):
        yield "Off at first: a write that nobody has described."


def _deletes_many(operation: Operation) -> bool:
    said = vocabulary.stems([_own_name(operation), *vocabulary.segments(operation.path)])
    if operation.method.upper() == "DELETE":
        return not vocabulary.ends_with_placeholder(operation.path) or bool(said & vocabulary.BULK)
    return bool(said & vocabulary.BULK and said & vocabulary.DELETES)


def _group(operation: Operation) -> tuple[str, str]:
    """The name of an agent, and why."""
    for tag in operation.tags[:1]:
        if name := _legal(tag):
            return name, f"Grouped under '{name}' by its first tag."
    for segment in vocabulary.segments(operation.path):
        name = _legal(segment)
        if name and name not in vocabulary.NO_GROUP:
            return name, f"Grouped under '{name}' by its path."
    return "api", "Grouped under 'api': neither a tag nor its path names a group."


def _legal(text: str) -> str:
    """As `[a-z][a-z0-9_]{0,62}`, or nothing where no letter or digit is left."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "_".join(vocabulary.words(ascii_only))
    return (name if name[:1].isalpha() else f"g_{name}")[:63].rstrip("_") if name else ""
