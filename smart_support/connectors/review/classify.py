"""Classifies operations as reads or writes by rules on their method and names, and gives the reasons.

The dangerous error is a write classified as a read. So in doubt an operation is a write with approval, and a
POST is at most proposed as a read. The word lists are in vocabulary.py.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review import vocabulary
from smart_support.connectors.review.acting_words import acting_words, without_markup

Access = Literal["read", "write"]
Kind = Literal["destructive", "money", "messages", "credentials"]
Risk = Literal["low", "medium", "high"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_KINDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("destructive", vocabulary.DESTRUCTIVE),
    ("money", vocabulary.MONEY),
    ("messages", vocabulary.MESSAGES),
    ("credentials", vocabulary.CREDENTIALS),
)
# How much of a description is read: what an operation does stands at the beginning.
_SENTENCES = 400
# What stands before the verb: `This method retrieves`, `Use this call to get`.
_OPENING = re.compile(
    r"\W*(description\W+)?((use )?(this|the) (api )?(api|call|endpoint|method|operation|resource|request|"
    r"service|function) )?((can be |is |are )?(used )?(to )|allows? (you )?to |lets you |will )?",
    re.IGNORECASE,
)
_HIGH_RISK = frozenset({"destructive", "money", "credentials"})
# Words that generators add when they derive an operationId from a path.
_FILLERS = frozenset({"by", "the", "of", "with", "api", "controller", "using"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The result of the rules for one operation. It is stored as JSON.

    Attributes:
        read_proposed: a POST that looks like a read; it stays a write until a reviewer decides otherwise.
        needs_approval: true for every write and no read.
        agent: a valid agent name, from the operation's tag or path.
        customer_arguments: arguments that identify the customer, those named `customer...` first.
        risks: the kinds of harm it could do.
        enabled: the default before a review.
        reasons: one sentence per decision.
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
    """Classify an operation by its method, path, operationId, tags and argument names.

    Its summary and description are evidence against a read, and decide whether a word in the name of a GET is
    a verb or a noun. They never make a POST a read.
    """
    access, read_proposed, access_reason = _access(operation)
    risks = dict(_risks(operation, access))
    disabled_reasons = tuple(_disabled_reasons(operation, access, risks))
    agent, agent_reason = _agent(operation)
    customers = _customer_arguments(operation)
    customer_reasons = (f"Identifies the customer by {', '.join(customers)}.",) if customers else ()
    return Proposal(
        access=access,
        read_proposed=read_proposed,
        needs_approval=access == "write",
        agent=agent,
        customer_arguments=customers,
        risk=_risk(access, risks),
        risks=tuple(risks),
        enabled=not disabled_reasons,
        reasons=(access_reason, *risks.values(), *disabled_reasons, *customer_reasons, agent_reason),
    )


def _customer_arguments(operation: Operation) -> tuple[str, ...]:
    names = filter(vocabulary.identifies_customer, operation.schema.get("properties", {}))
    return tuple(sorted(names, key=lambda name: ("customer" not in name.lower(), name)))


def _access(operation: Operation) -> tuple[Access, bool, str]:
    method = operation.method.upper()
    if method in _SAFE_METHODS:
        action = _action_word(operation) if method == "GET" else ""
        if action:
            return "write", False, f"Write: GET with the action word '{action}'."
        return "read", False, f"Read: {method} without an action word."
    if method != "POST":
        is_known = method in ("PUT", "PATCH", "DELETE")
        return "write", False, f"Write: {method}." if is_known else "Write: unknown method."
    read_word = _read_word(operation)
    change_word = _change_word(operation, ignored=vocabulary.MANY if read_word else frozenset())
    if change_word:
        return "write", False, f"Write: POST with '{change_word}'."
    if read_word:
        return (
            "write",
            True,
            f"Probably a read: POST with '{read_word}'. Mark it read-only if it changes nothing.",
        )
    return "write", False, "Write: POST without a word for reading."


def _action_word(operation: Operation) -> str:
    """The word that makes a GET a write, or an empty string."""
    own = _chosen_id(operation)
    alarm = _alarm(operation, own, reads=False)
    return _alarm(operation, own, reads=True) if alarm and _is_described_as_read(operation, own) else alarm


def _alarm(operation: Operation, own: str, *, reads: bool) -> str:
    """The word that shows an action.

    Args:
        own: see `_chosen_id`.
        reads: other words say that it reads, so a word that may be a noun is one.
    """
    path = vocabulary.segments(operation.path)
    for name in (*_parts(own)[-1:], own, *path[-1:]):
        if word := _action_in_name(name, is_id=name not in path[-1:], reads=reads):
            return word
    all_words = {word for name in (own, *path) for word in vocabulary.words(name)}
    if all_words & vocabulary.EXPORTS and all_words & vocabulary.EMAIL:
        return "export by mail"
    return acting_words(operation.summary, reads=reads) or acting_words(operation.description, reads=reads)


def _action_in_name(name: str, *, is_id: bool, reads: bool) -> str:
    words = vocabulary.words(name)
    if not words:
        return ""
    first, last = words[0], words[-1]
    if vocabulary.is_action(first) and not _is_noun(words, is_id=is_id, reads=reads):
        return first
    is_last = last in vocabulary.VERBS and first not in vocabulary.READ_VERBS
    return last if is_last and not reads else ""


def _is_noun(words: tuple[str, ...], *, is_id: bool, reads: bool) -> bool:
    """Whether a name that begins with a word for an action is a noun.

    Args:
        is_id: it is an operationId, which begins with its verb more often than a segment of a path does.
        reads: other words say that the operation reads.
    """
    may_be_noun = words[0] in vocabulary.NOUN_VERBS
    if may_be_noun and len(words) > 1 and words[-1] in vocabulary.NOUN_ENDS:
        return True
    is_bare_verb = len(words) == 1 and words[0] in vocabulary.VERBS
    return reads and (may_be_noun or not (is_id or is_bare_verb))


def _is_described_as_read(operation: Operation, chosen_id: str) -> bool:
    """Whether words that are not made from method and path say that it reads."""
    first = vocabulary.words(chosen_id)[:1]
    if first and first[0] in vocabulary.READ_VERBS:
        return True
    made = vocabulary.stems([operation.path, operation.operation_id, operation.method]) | _FILLERS
    for said in (operation.summary, without_markup(operation.description)[:_SENTENCES]):
        words = vocabulary.words(_OPENING.sub("", said, count=1))
        if words[:1] in (("request",), ("requests",)):
            if set(words[1:4]) & vocabulary.NOUN_ENDS:
                return True
        elif words and words[0] in vocabulary.READING:
            # A summary such as `Get invoices send` is made from the path.
            if vocabulary.stems(words[1:]) <= made and words[-1] in vocabulary.VERBS | vocabulary.NOUN_VERBS:
                continue
            return True
        elif words and vocabulary.is_action(words[0]) and not _is_noun(words[:2], is_id=True, reads=False):
            return False
    return False


def _read_word(operation: Operation) -> str:
    """The word that makes a POST look like a read, or an empty string.

    In a path the word must begin the last segment, or be a segment that means a search, and the path must not
    end with a placeholder: `/mailing-list` and `/list/{id}` are nouns.
    """
    own = [vocabulary.words(part) for part in _parts(_chosen_id(operation))[-1:]]
    if own and own[0] and own[0][0] in vocabulary.READS:
        return own[0][0]
    path = vocabulary.segments(operation.path)
    if not path or vocabulary.ends_with_placeholder(operation.path):
        return ""
    last = vocabulary.words(path[-1])
    # `list` and `view` alone are verbs; followed by a word they are mostly nouns: `list-members`.
    if last[0] in vocabulary.READS and (len(last) == 1 or last[0] not in ("list", "view", "quote", "count")):
        return last[0]
    return next((part.lower() for part in path if part.lower() in vocabulary.SEARCHES), "")


def _change_word(operation: Operation, ignored: frozenset[str]) -> str:
    """The word that proves that a POST changes something (the first in the alphabet), or an empty string."""
    names = [_chosen_id(operation), *vocabulary.segments(operation.path)]
    words = {word for name in names for word in vocabulary.words(name)}
    summary = vocabulary.words(operation.summary)
    matches = words & vocabulary.ACTIONS | vocabulary.stems(names) & vocabulary.CHANGES
    matches |= {word for word in vocabulary.stems(summary[:1]) if vocabulary.is_action(word)}
    matches |= vocabulary.stems(summary) & {"create", "update", "delete", "remove", "save"}
    return min(matches - ignored, default="")


def _chosen_id(operation: Operation) -> str:
    """The operationId, or an empty string if it only repeats method and path."""
    return _chosen(operation.operation_id, operation.method.lower(), operation.path)


@lru_cache(maxsize=16)  # the rules ask several times for one operation
def _chosen(operation_id: str, method: str, path: str) -> str:
    chosen = [word for word in vocabulary.words(operation_id) if not word.isdigit()]
    if method not in (chosen[:1] + chosen[-1:]):
        return operation_id
    made_from = vocabulary.stems([path]) | _FILLERS | vocabulary.stems([method])
    return "" if vocabulary.stems(chosen) <= made_from else operation_id


def _parts(operation_id: str) -> list[str]:
    """Splits an operationId into resource and action: `repos/delete`, `users.list`, `Users_SendReminder`."""
    is_mixed_case = operation_id != operation_id.lower()
    return [part for part in re.split(r"[/.:#_]+" if is_mixed_case else r"[/.:#]+|__+", operation_id) if part]


def _risks(operation: Operation, access: Access) -> Iterator[tuple[Kind, str]]:
    stems = vocabulary.stems([_chosen_id(operation), *vocabulary.segments(operation.path)])
    for kind, words in _KINDS:
        word = min(stems & words, default="")
        if kind == "destructive" and operation.method.upper() == "DELETE":
            yield kind, "Destructive: DELETE."
        elif word and (access == "write" or kind == "credentials"):
            yield kind, f"{kind.capitalize()}: contains '{word}'."
        elif kind == "credentials" and any("password" in stem or "apikey" in stem for stem in stems):
            yield kind, "Credentials: contains 'password' or 'apikey'."


def _risk(access: Access, risks: dict[Kind, str]) -> Risk:
    if _HIGH_RISK & risks.keys():
        return "high"
    return "medium" if access == "write" else "low"


def _disabled_reasons(operation: Operation, access: Access, risks: dict[Kind, str]) -> Iterator[str]:
    if operation.deprecated:
        yield "Disabled by default: deprecated."
    if "credentials" in risks:
        yield "Disabled by default: handles credentials."
    if _deletes_many(operation):
        yield "Disabled by default: may delete several items."
    if any(finding.severity == "error" for finding in operation.findings):
        yield "Disabled by default: its description has an error."
    if access == "write" and not (operation.summary.strip() or operation.description.strip()):
        yield "Disabled by default: a write without a description."


def _deletes_many(operation: Operation) -> bool:
    stems = vocabulary.stems([_chosen_id(operation), *vocabulary.segments(operation.path)])
    if operation.method.upper() == "DELETE":
        return not vocabulary.ends_with_placeholder(operation.path) or bool(stems & vocabulary.BULK)
    return bool(stems & vocabulary.BULK and stems & vocabulary.DELETES)


def _agent(operation: Operation) -> tuple[str, str]:
    """The agent's name, and the reason."""
    for tag in operation.tags[:1]:
        if name := _agent_name(tag):
            return name, f"Agent '{name}': from its first tag."
    for segment in vocabulary.segments(operation.path):
        name = _agent_name(segment)
        if name and name not in vocabulary.GENERIC_SEGMENTS:
            return name, f"Agent '{name}': from its path."
    return "api", "Agent 'api': it has no tag, and its path names no resource."


def _agent_name(text: str) -> str:
    """The text as `[a-z][a-z0-9_]{0,62}`, or an empty string if it has no ASCII letter or digit."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "_".join(vocabulary.words(ascii_only))
    return (name if name[:1].isalpha() else f"g_{name}")[:63].rstrip("_") if name else ""
