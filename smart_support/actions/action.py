"""An action: one tool call of an API client, from its request to its result."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from smart_support.approvals.approval import whole_text
from smart_support.canonical_json import canonical
from smart_support.errors import InvalidRequest
from smart_support.tools.registry import Access

Status = Literal["pending", "running", "done", "rejected", "expired", "failed", "outcome_unknown"]
STATUSES: tuple[Status, ...] = get_args(Status)
UNSETTLED: tuple[Status, ...] = ("pending", "running")
Channel = Literal["rest", "mcp"]
MAX_REASON_CHARS = 2000
# Of an idempotency key: 1 to 200 visible characters of ASCII, with spaces between them.
KEY_PATTERN = r"^[!-~]([ -~]{0,198}[!-~])?$"
MAX_CLIENT_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a client's program says of itself and of its request. Nothing of it is verified.

    Attributes:
        session: the client's session, as over MCP.
        reason: why it requests the call.
    """

    client_name: str | None = None
    client_version: str | None = None
    session: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        for name in ("client_name", "client_version", "session"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, value[:MAX_CLIENT_CHARS])
        if self.reason is not None:
            whole_text("reason", self.reason, MAX_REASON_CHARS)

    def wire(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """A tool call as a client requests it.

    Attributes:
        args: the arguments as they came.
        thread_id: the thread that the call belongs to; a new one where it is left out.
        idempotency_key: the client's own key of this call: a repetition with it joins for 24 hours.
        customer_token: a website's evidence of whom the call is for.

    Raises:
        InvalidRequest: the key does not fit.
    """

    tool: str
    args: Any
    channel: Channel
    client: Client
    thread_id: str | None = None
    idempotency_key: str | None = None
    customer_token: str | None = None

    def __post_init__(self) -> None:
        key = self.idempotency_key
        if key is not None and not re.fullmatch(KEY_PATTERN, key):
            raise InvalidRequest("idempotency_key: give 1 to 200 visible characters of ASCII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action on record.

    Attributes:
        action_id: also the id of its tool call.
        args: the arguments; after an edit, those that run.
        call_digest: equal for calls that may join: same caller, customer, tool and arguments.
        duplicate_of: an earlier equal action that this one may repeat.
        is_forbidden: the policy forbids it, so that nobody was asked.
        planned: the planned call as stored, once it is planned; reads are planned again instead.
        part: of its approval; higher where the call had to be approved again.
        expires_at: of its approval.
        result: the tool's result, as JSON.
        message: for people: what it waits for, or why it has no result.
        joined: this answer is for a repetition of the call.
    """

    action_id: str
    caller: str
    thread_id: str
    channel: str
    tool: str
    access: Access
    args: Mapping[str, Any]
    call_digest: str
    idempotency_key: str | None = None
    duplicate_of: str | None = None
    client: Mapping[str, Any]
    status: Status = "running"
    is_forbidden: bool = False
    planned: Mapping[str, Any] | None = None
    part: int = 0
    approval_id: str | None = None
    expires_at: str | None = None
    result: Any = None
    message: str | None = None
    requested_at: str
    settled_at: str | None = None
    joined: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status not in UNSETTLED

    def wire(self) -> dict[str, Any]:
        """The action as clients get it."""
        return {
            "action_id": self.action_id,
            "thread_id": self.thread_id,
            "tool": self.tool,
            "args": dict(self.args),
            "status": self.status,
            "joined": self.joined,
            "possible_duplicate": self.duplicate_of is not None,
            "approval_id": self.approval_id,
            "result": self.result,
            "message": self.message,
            "requested_at": self.requested_at,
            "expires_at": self.expires_at,
            "settled_at": self.settled_at,
        }


def call_digest(*, caller: str, customer: str | None, tool: str, args: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of what makes two calls the same, in hexadecimal."""
    call = {"caller": caller, "customer": customer, "tool": tool, "args": dict(args)}
    return hashlib.sha256(canonical(call)).hexdigest()
