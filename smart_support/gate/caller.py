"""The callers of tools."""

from dataclasses import dataclass, field

from smart_support.tools.registry import Tool

# Of a client whose limit is not set: more than people decide in an hour, and less than hides those of others.
MAX_PENDING = 200


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """How much a caller may do.

    Attributes:
        writes_per_hour: writes in any hour, over all threads; None for no limit.
        calls_per_minute: of a client, its calls in any minute, reads and repetitions among them.
        max_pending: of a client, its writes that may wait or run at once.
    """

    writes_per_hour: int | None = None
    calls_per_minute: int | None = None
    max_pending: int = MAX_PENDING


@dataclass(frozen=True, slots=True)
class Caller:
    """An agent or an API client that requests tool calls.

    Attributes:
        name: the name in approvals, in the audit trail and in messages.
        tools: names of the registered tools that the caller may call.
        own_tools: tools that only this caller has; they are not in the registry.
        is_client: an API client, listed under `callers:` in the agents file, and not an agent of ours.
        approvers: the group of users that decides its calls; None where any lead may.
        owner: the user who can't approve its calls.
        thread_prefix: what the ids of its threads begin with.
    """

    name: str
    tools: frozenset[str] = frozenset()
    own_tools: tuple[Tool, ...] = ()
    limits: CallerLimits = field(default_factory=CallerLimits)
    is_client: bool = False
    approvers: str | None = None
    owner: str | None = None
    thread_prefix: str = ""
