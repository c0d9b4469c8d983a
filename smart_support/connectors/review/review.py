"""What a reviewer sees of an operation and may change, and what a re-import keeps of it. No storage."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review.classify import classify
from smart_support.errors import InvalidRequest

Change = Literal["new", "same", "changed", "gone"]
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_DESCRIPTION = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One operation as it stands in a review.

    Attributes:
        key: the tool's first name; it stays when the tool is renamed, and over re-imports.
        fingerprint: of all that decides what a call does.
        change: against what is live under the same key.
        idempotent: the API honours `Idempotency-Key`, or its method is idempotent (RFC 9110, 9.2.2).
        proposal: what the rules said, with their reasons; null for what is gone.
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


def proposed(operation: Operation, live: Reviewed | None) -> Reviewed:
    """An operation as it comes into a review: as the rules propose it, or as it was decided before.

    What was decided is kept where the operation is the same. Where it has changed, all is kept but two things
    until somebody has looked: a write that was let pass as a read is a write again, and one that was said to
    be safe to repeat is so only where its description says it.
    """
    proposal = classify(operation)
    fresh = Reviewed(
        key=operation.tool_name,
        fingerprint=fingerprint(operation),
        change="new",
        enabled=proposal.enabled,
        access=proposal.access,
        needs_approval=proposal.needs_approval,
        idempotent=operation.method.upper() in ("PUT", "DELETE") or operation.keyed,
        agent=proposal.agent,
        tool_name=operation.tool_name,
        description=(operation.summary or operation.description or operation.key)[:MAX_DESCRIPTION],
        risk=proposal.risk,
        proposal=_plain(proposal),
    )
    if live is None:
        return fresh
    decided = replace(live, fingerprint=fresh.fingerprint, proposal=fresh.proposal)
    if live.fingerprint == fresh.fingerprint:
        return replace(decided, change="same")
    stricter: dict[str, Any] = {"idempotent": live.idempotent and fresh.idempotent}
    stricter |= {"access": "write", "needs_approval": True} if fresh.access == "write" else {}
    return replace(decided, change="changed", **stricter)


def changed(reviewed: Reviewed, operation: Operation, wanted: Mapping[str, Any]) -> Reviewed:
    """The operation with a reviewer's changes.

    Raises:
        InvalidRequest: a name is none, or a write would pass without approval.
    """
    for name in ("agent", "tool_name"):
        if name in wanted and not NAME.fullmatch(str(wanted[name])):
            raise InvalidRequest(
                f"{name}: {str(wanted[name])[:80]!r} is no name; use 1 to 63 of a-z, 0-9, _, a letter first"
            )
    result = replace(reviewed, **wanted)
    if result.access == "read" and reviewed.access == "write":
        if not (operation.method.upper() in _READING or reviewed.proposal.get("read_proposed")):
            raise InvalidRequest(
                f"{operation.key}: {operation.method.upper()} writes as far as its description tells, so "
                "it can't become a read"
            )
        result = result if "needs_approval" in wanted else replace(result, needs_approval=False)
    if result.access == "write" and not result.needs_approval:
        if wanted.get("needs_approval") is False:
            raise InvalidRequest(
                f"{operation.key}: a write needs approval; a policy rule can let some of its calls run"
            )
        result = replace(result, needs_approval=True)
    return result


def fingerprint(operation: Operation) -> str:
    """SHA-256 over all that decides what a call does: not over words that only describe it."""
    decides = {
        "method": operation.method,
        "path": operation.path,
        "parameters": operation.parameters,
        "body": operation.body,
        "security": operation.security,
        "servers": [server.url for server in operation.servers],
        "keyed": operation.keyed,
    }
    return hashlib.sha256(orjson.dumps(_bare(_plain(decides)), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        described = isinstance(value.get("description"), str)
        return {
            name: _bare(part) for name, part in value.items() if not (described and name == "description")
        }
    return [_bare(part) for part in value] if isinstance(value, list) else value


def _plain(value: Any) -> dict[str, Any]:
    """Dataclasses, and what is in them, as JSON has them."""
    plain: dict[str, Any] = orjson.loads(orjson.dumps(value))
    return plain
