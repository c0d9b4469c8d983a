"""The errors that users can see. A message says what happened, with which value, and what to do.

Each class has the `code` and the HTTP status with which every interface answers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any


class SmartSupportError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: for the user, and where it is about a tool, for the customer.
        detail: for operators, with what to do; it goes to the log and the record, and never to a customer.
        fields: further facts for programs, as JSON; an answer over REST has them beside the message.
        error_class: for errors of tools: `transient` (a retry may succeed), `validation` (the arguments are
            wrong), `auth` (our credentials are not accepted) or `unknown`.
        nothing_done: the call certainly had no effect. The outcome of a write that raises any other error is
            unknown.
    """

    code = "internal_error"
    status = 500
    error_class = "unknown"
    nothing_done = False

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.fields: dict[str, Any] = {}


class ConfigError(SmartSupportError):
    """A setting or a configuration file is wrong. Raised at start; names the setting and the fix."""

    code = "config_error"


class InvalidRequest(SmartSupportError):
    """A request does not match the schema of its route."""

    code = "invalid_request"
    status = 422
    nothing_done = True


class DecisionNotAllowed(InvalidRequest):
    """The approval does not allow this decision. Nothing was changed; it stays pending."""

    code = "decision_not_allowed"


class InvalidJson(SmartSupportError):
    """A frame or body is not JSON, or not an object."""

    code = "invalid_json"
    status = 400


class TooLarge(SmartSupportError):
    """A frame or body is over the size limit."""

    code = "too_large"
    status = 413


class InvalidThreadId(SmartSupportError):
    """`thread_id` is missing or has characters that are not allowed."""

    code = "invalid_thread_id"
    status = 422


class InvalidContent(SmartSupportError):
    """The message text is missing, blank or too long."""

    code = "invalid_content"
    status = 422


class InvalidCustomerToken(SmartSupportError):
    """A customer token is not signed by the website, has expired, or is for another conversation."""

    code = "invalid_customer_token"
    status = 401
    nothing_done = True


class UnknownType(SmartSupportError):
    """A WebSocket frame of an unknown type."""

    code = "unknown_type"
    status = 422


class SessionExpired(SmartSupportError):
    """The session of the conversation has expired. Start a new conversation."""

    code = "session_expired"
    status = 410


class RateLimited(SmartSupportError):
    """Too many messages on one thread, or calls of one client."""

    code = "rate_limited"
    status = 429

    def __init__(self, retry_after_seconds: int, what: str = "messages on this thread") -> None:
        super().__init__(f"Too many {what}; try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class Overloaded(SmartSupportError):
    """Too many turns run at once, and none ended in time. The message was not recorded."""

    code = "overloaded"
    status = 503
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__(
            "Too many conversations are being answered at the moment, so this was not taken. "
            f"Please send it again in {self.retry_after_seconds} s."
        )


class ShuttingDown(SmartSupportError):
    """The process is shutting down. Nothing was accepted, or the next process continues it."""

    code = "shutting_down"
    status = 503
    retry_after_seconds = 5


class NotFound(SmartSupportError):
    """The requested object does not exist."""

    code = "not_found"
    status = 404


class NoPendingApproval(SmartSupportError):
    """A decision for a thread without a pending approval."""

    code = "no_pending_approval"
    status = 404


class AlreadyDecided(SmartSupportError):
    """Somebody else decided first. Nothing was changed."""

    code = "already_decided"
    status = 409

    def __init__(self, approval_id: str, outcome: str, decided_by: str, decided_at: datetime) -> None:
        super().__init__(
            f"approval {approval_id}: already {outcome} by {decided_by} "
            f"at {decided_at:%Y-%m-%d %H:%M:%S} UTC; nothing was changed"
        )


class AlreadyClaimed(SmartSupportError):
    """Somebody else has claimed the approval. Nothing was changed."""

    code = "already_claimed"
    status = 409

    def __init__(self, approval_id: str, holder: str, until: str) -> None:
        super().__init__(f"approval {approval_id}: {holder} is at work on it until {until[11:19]} UTC")


class TakenOver(SmartSupportError):
    """Another person has the conversation. Nothing was changed."""

    code = "taken_over"
    status = 409

    def __init__(self, thread_id: str, holder: str) -> None:
        super().__init__(f"thread {thread_id}: {holder} has this conversation; release it first")


class Conflict(SmartSupportError):
    """The request is valid, but not in the current state. Nothing was changed."""

    code = "conflict"
    status = 409


class LinkUsed(SmartSupportError):
    """A link to decide has been used before. Nothing was changed."""

    code = "link_used"
    status = 409


class IdempotencyConflict(SmartSupportError):
    """The idempotency key was used for another call. Nothing was done."""

    code = "idempotency_conflict"
    status = 409


class ApprovalExpired(SmartSupportError):
    """The approval was not decided in time. Its action was not run and never will be."""

    code = "approval_expired"
    status = 410

    def __init__(self, approval_id: str, expired_at: datetime) -> None:
        super().__init__(
            f"approval {approval_id}: expired at {expired_at:%Y-%m-%d %H:%M:%S} UTC and was not run; "
            "ask the agent again to make a new request"
        )


class InvalidArguments(SmartSupportError):
    """Arguments do not match the tool's JSON Schema. The message names each wrong field."""

    code = "invalid_arguments"
    status = 422
    error_class = "validation"
    nothing_done = True


class Unauthorized(SmartSupportError):
    """The request is not authenticated."""

    code = "unauthorized"
    status = 401


class Forbidden(SmartSupportError):
    """The user lacks the permission for this."""

    code = "forbidden"
    status = 403


class CallerDisabled(Forbidden):
    """People have disabled the key of this API client. Nothing was done."""

    code = "caller_disabled"
    nothing_done = True

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is disabled: a colleague has switched its key off. Nothing was done.")


class TooManyPending(RateLimited):
    """An API client has as many writes that wait as it may have. Nothing was put on record."""

    nothing_done = True

    def __init__(self, name: str, most: int) -> None:
        super().__init__(retry_after_seconds=60)
        self.message = (
            f"{name} has {most} calls that wait or run, and may not have more. Nothing was done; try again "
            "when some are decided. A repetition of one of these calls still joins it."
        )


class Frozen(SmartSupportError):
    """People have frozen the writes that this call is one of. It was not begun; its approval is unused."""

    code = "frozen"
    status = 409
    nothing_done = True

    def __init__(self, tool: str, scopes: Sequence[str]) -> None:
        super().__init__(f"{tool}: frozen ({', '.join(scopes)}); nothing was done")


class CustomerMismatch(Forbidden):
    """The conversation belongs to a verified customer, and the sender did not show that it is theirs."""

    code = "customer_mismatch"
    nothing_done = True

    def __init__(self, thread_id: str, *, is_missing: bool) -> None:
        what = "send that customer's customer_token" if is_missing else "this customer_token is another's"
        super().__init__(f"thread {thread_id}: belongs to a verified customer; {what}; nothing was done")


class ModelFailed(SmartSupportError):
    """The chat model failed. The message says what to do next. The cause is only in the log.

    Attributes:
        reason: why, in a word for the record: `empty`, `length`, `content_filter`, `refusal`, `too_long`,
            `cut_off`, `timeout` or `failed`.
    """

    code = "model_error"
    status = 502

    def __init__(self, message: str, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class ToolFailed(SmartSupportError):
    """A tool failed and did nothing. The cause is only in the log."""

    code = "tool_error"
    status = 502
    nothing_done = True


class ToolUnauthorized(ToolFailed):
    """The system that a tool calls does not accept our credentials. Nothing was done."""

    error_class = "auth"


class ToolUnavailable(SmartSupportError):
    """A tool is not available now: a timeout, 429 or 5xx. May be retried where that is safe."""

    code = "tool_error"
    status = 502
    error_class = "transient"


class ToolNotReached(ToolUnavailable):
    """Nothing was sent: no connection, or an unknown host name. May be retried with any tool."""

    nothing_done = True


class ToolRefused(SmartSupportError):
    """A tool refused the call (a shipped order can't be cancelled). The message tells the customer why."""

    code = "tool_error"
    status = 422
    error_class = "validation"
    nothing_done = True


class StorageFailed(SmartSupportError):
    """A database could not be read or written."""

    code = "storage_error"
    status = 503


class EventRefused(StorageFailed):
    """The event log can't store this event. Other events are not affected."""


class OutboundRefused(SmartSupportError):
    """A request would go to an address that is not allowed. Nothing was sent there."""

    code = "outbound_refused"
    status = 422


class ResponseTooLarge(SmartSupportError):
    """An answer is larger than the caller's limit. Reading stopped there."""

    code = "too_large"
    status = 502
