"""Every error a user can meet: what happened, with which value, and what to do.

Each class carries the `code` and the HTTP status that all doors answer with, so a door translates an
error in one place. Nothing here knows a wire format.
"""

from datetime import datetime

__all__ = [
    "AlreadyClaimed",
    "AlreadyDecided",
    "ApprovalExpired",
    "ConfigError",
    "Conflict",
    "DecisionNotAllowed",
    "EventRefused",
    "Forbidden",
    "InvalidArguments",
    "InvalidContent",
    "InvalidJson",
    "InvalidRequest",
    "InvalidThreadId",
    "ModelFailed",
    "NoPendingApproval",
    "NotFound",
    "RateLimited",
    "SessionExpired",
    "ShuttingDown",
    "SmartSupportError",
    "StorageFailed",
    "TooLarge",
    "ToolFailed",
    "ToolNotReached",
    "ToolRefused",
    "ToolUnauthorized",
    "ToolUnavailable",
    "Unauthorized",
    "UnknownType",
]


class SmartSupportError(Exception):
    """Base of all of ours. `message` is meant for the person at the door.

    `error_class`, of one that a tool raises: `transient` (worth another try), `validation` (these arguments
    will not do), `auth` (it does not know us), `unknown`. `nothing_done`: it is certain that the call had no
    effect; a write that raises anything else is of unknown outcome.
    """

    code = "internal_error"
    status = 500
    error_class = "unknown"
    nothing_done = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(SmartSupportError):
    """A setting or a configuration file is wrong. Raised at start; names the setting and the fix."""

    code = "config_error"


class InvalidRequest(SmartSupportError):
    """A request does not have the shape its route asks for."""

    code = "invalid_request"
    status = 422
    nothing_done = True


class DecisionNotAllowed(InvalidRequest):
    """The agent that asked does not take this decision. Nothing was changed; the approval stays pending."""

    code = "decision_not_allowed"


class InvalidJson(SmartSupportError):
    """A frame or body is not JSON, or not an object."""

    code = "invalid_json"
    status = 400


class TooLarge(SmartSupportError):
    """A frame or body is over the limit."""

    code = "too_large"
    status = 413


class InvalidThreadId(SmartSupportError):
    """No `thread_id`, or one with characters it may not have."""

    code = "invalid_thread_id"
    status = 422


class InvalidContent(SmartSupportError):
    """No message text, only white space, or too much of it."""

    code = "invalid_content"
    status = 422


class UnknownType(SmartSupportError):
    """A socket frame of a type that does not exist."""

    code = "unknown_type"
    status = 422


class SessionExpired(SmartSupportError):
    """The conversation's session is past its time to live. Start a new one."""

    code = "session_expired"
    status = 410


class RateLimited(SmartSupportError):
    """Too many messages on one thread."""

    code = "rate_limited"
    status = 429

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many messages on this thread; try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class ShuttingDown(SmartSupportError):
    """The process is about to end; nothing was taken, or what was taken goes on with the next one."""

    code = "shutting_down"
    status = 503
    retry_after_seconds = 5


class NotFound(SmartSupportError):
    """What was asked for does not exist."""

    code = "not_found"
    status = 404


class NoPendingApproval(SmartSupportError):
    """A decision came for a thread on which nothing waits."""

    code = "no_pending_approval"
    status = 404


class AlreadyDecided(SmartSupportError):
    """Someone else's decision was first; nothing was changed."""

    code = "already_decided"
    status = 409

    def __init__(self, approval_id: str, outcome: str, decided_by: str, decided_at: datetime) -> None:
        super().__init__(
            f"approval {approval_id}: already {outcome} by {decided_by} "
            f"at {decided_at:%Y-%m-%d %H:%M:%S} UTC; nothing was changed"
        )


class AlreadyClaimed(SmartSupportError):
    """Somebody else is at work on the approval; nothing was changed."""

    code = "already_claimed"
    status = 409

    def __init__(self, approval_id: str, holder: str, until: str) -> None:
        super().__init__(f"approval {approval_id}: {holder} is at work on it until {until[11:19]} UTC")


class Conflict(SmartSupportError):
    """What was asked for is right in itself, but not for something in this state; nothing was changed."""

    code = "conflict"
    status = 409


class ApprovalExpired(SmartSupportError):
    """The approval was not decided in time; its action was not run and never will be."""

    code = "approval_expired"
    status = 410

    def __init__(self, approval_id: str, expired_at: datetime) -> None:
        super().__init__(
            f"approval {approval_id}: expired at {expired_at:%Y-%m-%d %H:%M:%S} UTC and was not run; "
            "ask the agent again to make a new request"
        )


class InvalidArguments(SmartSupportError):
    """Arguments do not fit the tool's JSON Schema. The message names each field that is wrong."""

    code = "invalid_arguments"
    status = 422
    error_class = "validation"
    nothing_done = True


class Unauthorized(SmartSupportError):
    """Nobody is logged in."""

    code = "unauthorized"
    status = 401


class Forbidden(SmartSupportError):
    """The caller may not do this, whoever they are."""

    code = "forbidden"
    status = 403


class ModelFailed(SmartSupportError):
    """The chat model failed. The message says what to do next; the cause goes to the log only."""

    code = "model_error"
    status = 502


class ToolFailed(SmartSupportError):
    """A tool broke and did nothing. The message is a plain sentence; the cause goes to the log only."""

    code = "tool_error"
    status = 502
    nothing_done = True


class ToolUnauthorized(ToolFailed):
    """What a tool calls does not accept our credentials. Nothing was done; an admin has to look."""

    error_class = "auth"


class ToolUnavailable(SmartSupportError):
    """A tool can't be reached just now: a time-out, 429 or 5xx. Worth another try where that is safe."""

    code = "tool_error"
    status = 502
    error_class = "transient"


class ToolNotReached(ToolUnavailable):
    """Nothing was sent: no connection, no such name. Worth another try, whatever the tool."""

    nothing_done = True


class ToolRefused(SmartSupportError):
    """A tool's own rule says no (a shipped order can't be cancelled). The message tells the customer why."""

    code = "tool_error"
    status = 422
    error_class = "validation"
    nothing_done = True


class StorageFailed(SmartSupportError):
    """A database did not take or give what it was asked for."""

    code = "storage_error"
    status = 503


class EventRefused(StorageFailed):
    """The event log can't hold this one event. The other events are not affected."""
