"""What a reviewer sees and may change of an operation, and what a re-import keeps of it. Stores nothing."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from smart_support.connectors.openapi.document.operation import Operation, attributes
from smart_support.connectors.review.classify import classify
from smart_support.connectors.review.customers import CustomerRule, changed_rule, is_valid
from smart_support.connectors.review.tool_description import tool_description
from smart_support.errors import InvalidRequest
from smart_support.tools import names

Change = Literal["new", "same", "changed", "gone"]
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_DESCRIPTION = 1000  # characters; about 250 tokens
_LATER_DESCRIPTION = re.compile(rb',"description":"[^"\\]*(?:\\.[^"\\]*)*"')
_FIRST_DESCRIPTION = re.compile(rb'\{"description":"[^"\\]*(?:\\.[^"\\]*)*",?')


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedOperation:
    """One operation in a review.

    Attributes:
        key: the tool's original name; it stays the same when the tool is renamed or imported again.
        fingerprint: see `fingerprint`.
        change: compared with the live operation that has the same key.
        idempotent: the API supports `Idempotency-Key`, or the method is idempotent (RFC 9110, 9.2.2).
        customer: whose things it touches; None if it is not known.
        proposal: the `Proposal` of `classify` as JSON, with the `changes` since the live import; empty for an
            operation that is gone.
    """

    key: str
    fingerprint: str
    change: Change
    enabled: bool
    access: Literal["read", "write"]
    needs_approval: bool
    idempotent: bool
    agent: str
    tool_name: str
    description: str
    risk: Literal["low", "medium", "high"]
    proposal: dict[str, Any] = field(default_factory=dict)
    customer: CustomerRule | None = None


def propose(
    operation: Operation,
    live: ReviewedOperation | None,
    *,
    before: Operation | None = None,
    changes: list[dict[str, str]] | None = None,
) -> ReviewedOperation:
    """An operation at the start of a review: as the rules classify it, or as it was decided before.

    All decisions are kept if the operation is the same. If it has changed, two are reset to the safe side
    until somebody reviews it: access, if the rules say write, and idempotence, unless the description states
    it. A description that nobody edited becomes the new one.

    Args:
        before: the operation of the live import, if its description can be read.
        changes: what differs from that, as in `comparison.changes`.
    """
    proposal = classify(operation)
    description, length = tool_description(operation, MAX_DESCRIPTION)
    new = ReviewedOperation(
        key=operation.tool_name,
        fingerprint=fingerprint(operation),
        change="new",
        enabled=proposal.enabled,
        access=proposal.access,
        needs_approval=proposal.needs_approval,
        idempotent=operation.method.upper() in ("PUT", "DELETE") or operation.keyed,
        agent=proposal.agent,
        tool_name=operation.tool_name,
        description=description,
        risk=proposal.risk,
        proposal=_as_json(proposal),
    )
    if length > len(description):
        reason = f"Its description is cut to {len(description)} of {length} characters for the model."
        new = replace(new, proposal=new.proposal | {"reasons": [*new.proposal["reasons"], reason]})
    if live is None:
        return new
    decided = replace(live, fingerprint=new.fingerprint, proposal=new.proposal)
    is_same = live.fingerprint == new.fingerprint
    if before and changes is not None:
        is_same = not changes
        decided = replace(decided, proposal=new.proposal | {"changes": changes})
        if live.description == _described(before):
            decided = replace(decided, description=new.description)
    if is_same:
        return replace(decided, change="same")
    stricter: dict[str, Any] = {"idempotent": live.idempotent and new.idempotent}
    kept = live.customer if live.customer and is_valid(live.customer, operation) else None
    stricter["customer"] = replace(kept, confirmed=False) if kept else None
    stricter |= {"access": "write", "needs_approval": True} if new.access == "write" else {}
    return replace(decided, change="changed", **stricter)


def check_changes(changes: Mapping[str, Any]) -> None:
    """Check what does not depend on the operation.

    Raises:
        InvalidRequest: a name is invalid.
    """
    for name in ("agent", "tool_name"):
        if name in changes and not names.is_valid(str(changes[name])):
            raise InvalidRequest(f"{name}: {str(changes[name])[:80]!r} is not valid; {names.RULE}")


def apply_changes(
    reviewed: ReviewedOperation, operation: Operation, changes: Mapping[str, Any]
) -> ReviewedOperation:
    """The operation with a reviewer's changes.

    Args:
        changes: by attribute; `confirm` is true if the reviewer knows that an operation only reads although
            the rules did not propose it.

    Raises:
        InvalidRequest: a name is invalid, a write would need no approval, or a confirmation is missing.
    """
    check_changes(changes)
    changes = dict(changes)
    is_confirmed = bool(changes.pop("confirm", False))
    if "customer" in changes:
        changes["customer"] = changed_rule(operation, reviewed.customer, changes["customer"])
    result = replace(reviewed, **changes)
    if result.access == "read" and reviewed.access == "write":
        result = replace(result, proposal=_checked_as_read(reviewed, operation, is_confirmed))
        result = result if "needs_approval" in changes else replace(result, needs_approval=False)
    if result.access == "write" and not result.needs_approval:
        if changes.get("needs_approval") is False:
            raise InvalidRequest(
                f"{operation.key}: a write needs approval; a policy rule can auto-approve some of its calls"
            )
        result = replace(result, needs_approval=True)
    return result


def _checked_as_read(reviewed: ReviewedOperation, operation: Operation, is_confirmed: bool) -> dict[str, Any]:
    """The proposal of a write that a reviewer marks as read-only, with the confirmation as a reason.

    Raises:
        InvalidRequest: its method always writes, or nothing shows that it reads and nobody confirmed it.
    """
    method, proposal = operation.method.upper(), reviewed.proposal
    if method in _SAFE_METHODS or proposal.get("read_proposed"):
        return proposal
    if method != "POST":
        raise InvalidRequest(f"{operation.key}: {method} changes something, so it can't be marked read-only")
    if not is_confirmed:
        raise InvalidRequest(
            f"{operation.key}: its description does not show that it only reads. As read-only it runs "
            "without approval. If you know that it changes nothing, confirm it (`confirm: true`)"
        )
    reason = "Marked read-only by a reviewer, who confirmed that it changes nothing."
    return proposal | {"reasons": [*proposal.get("reasons", []), reason]}


def _described(operation: Operation) -> str:
    """An operation's words for a model, before anybody has edited them."""
    return tool_description(operation, MAX_DESCRIPTION)[0]


def fingerprint(operation: Operation) -> str:
    """SHA-256 of everything that decides what a call does, without descriptions.

    It is stored. Where the description of the live import can't be read, a different hash marks the operation
    as changed.
    """
    content = {
        "method": operation.method,
        "path": operation.path,
        "parameters": [attributes(one) for one in operation.parameters],
        "body": attributes(operation.body) if operation.body else None,
        "security": operation.security,
        "servers": [server.url for server in operation.servers],
        "keyed": operation.keyed,
    }
    encoded = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(_without_descriptions(encoded)).hexdigest()


def _without_descriptions(encoded: bytes) -> bytes:
    """A JSON text without the members `description` whose value is a text: a property may have that name.

    A quote in a JSON text is escaped, so the expressions match members only.
    """
    return _FIRST_DESCRIPTION.sub(b"{", _LATER_DESCRIPTION.sub(b"", encoded))


def _as_json(value: Any) -> dict[str, Any]:
    """The value with all dataclasses in it as JSON objects."""
    converted: dict[str, Any] = orjson.loads(orjson.dumps(value))
    return converted
