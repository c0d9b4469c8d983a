"""The shapes of REST answers, for `/api/v1/openapi.json` alone: routes answer without passing through them.

More fields may stand beside these; `tests/api/test_described.py` holds real answers against them.
"""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Object = dict[str, Any]
Rate = float | None
Risk = Literal["low", "medium", "high"]
Outcome = Literal["approved", "rejected", "edited", "expired", "responded", "withdrawn"]


class Answer(BaseModel, Generic[T]):
    """What every route answers with when it did what it was asked."""

    success: Literal[True]
    data: T
    error: None


class Cursor(BaseModel):
    """Where the next page begins; null on the last one."""

    next_cursor: str | int | None


class Page(Answer[list[T]], Generic[T]):
    """An answer with a list, a page at a time."""

    meta: Cursor


class Warnings(Cursor):
    """What of the configuration speaks of tools that do not exist now, in sentences."""

    warnings: list[str]


class Configured(Answer[list[T]], Generic[T]):
    """An answer with all of a list, and what is amiss with it."""

    meta: Warnings


class Problem(BaseModel):
    """What went wrong: a code for programs, a sentence for people."""

    code: str
    message: str


class Refusal(BaseModel):
    """What every route answers with when it did not."""

    success: Literal[False]
    data: None
    error: Problem


REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "Nobody is logged in: `unauthorized`"},
    403: {"model": Refusal, "description": "They may not do this: `forbidden`"},
    "4XX": {"model": Refusal, "description": "Not done; `error.code` says why"},
    "5XX": {"model": Refusal, "description": "Something broke on our side; `error.code` says what"},
}


def file_of(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The description of an answer that is a file or a stream of these types."""
    return {200: {"content": {media_type: {} for media_type in media_types}}}


class Health(BaseModel):
    """Whether a process can do its work. Bare, without the envelope."""

    status: Literal["ok", "degraded"]
    version: str
    checks: dict[str, str]


class Approval(BaseModel):
    """One call that a human decides."""

    approval_id: str
    thread_id: str
    customer_id: str | None
    agent: str
    action: str
    args: Object
    summary: str
    risk: Risk
    status: Literal["pending", "approved", "rejected", "edited", "expired", "responded", "withdrawn"]
    execution: Literal["not_started", "done", "failed", "outcome_unknown"] | None
    execution_reason: str | None
    requested_at: str
    expires_at: str
    decided_at: str | None
    decided_by: str | None
    reason: str | None = Field(description="why; where `responded`, the person's answer")
    allowed: list[Literal["approve", "edit", "reject", "respond"]] = Field(
        description="the decisions that the agent takes"
    )
    args_schema: Object | None = Field(description="JSON Schema of the arguments an edit may give, if known")


class Edit(BaseModel):
    """What a card would say with other arguments."""

    args: Object
    summary: str
    customer_id: str | None
    effect: list[dict[str, str]] | None
    facts: Object | None


class DecidedOne(BaseModel):
    """What came of one approval of a batch: the approval, or why not."""

    approval_id: str
    approval: Approval | None
    error: Problem | None


class Happened(BaseModel):
    """One line of an approval's history."""

    at: str
    kind: str
    actor: str
    via: str | None
    detail: Object


class Usage(BaseModel):
    """What a turn took."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class Called(BaseModel):
    """A tool that a turn called."""

    tool: str
    args: Object | None
    tool_call_id: str
    agent: str
    status: Literal["pending", "ok", "error", "rejected", "expired", "skipped"]
    result: Any


class Reply(BaseModel):
    """A whole turn."""

    thread_id: str
    status: Literal["complete", "awaiting_approval", "clarification", "error"]
    agent: str | None
    reply: str
    tool_calls: list[Called]
    approval: Approval | None
    usage: Usage | None
    error: Problem | None


class Conversation(BaseModel):
    """One conversation, as lists have it."""

    thread_id: str
    customer_id: str | None
    started_at: str
    last_at: str
    turns: int
    agents: list[str]
    status: Literal["active", "waiting", "ended"]
    outcome: Literal["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"] | None
    cost_usd: float | None


class Step(BaseModel):
    """One recorded step; by its `type` it has the fields of that event on the socket, too."""

    model_config = ConfigDict(extra="allow")

    seq: int
    type: Literal[
        "message",
        "route",
        "tool_call",
        "tool_result",
        "interrupt",
        "decision",
        "clarification",
        "escalation",
        "message_complete",
        "error",
    ]
    at: str
    agent: str | None


class Outline(BaseModel):
    """A conversation without its content. Places count its steps from 1."""

    steps: int
    page: int = Field(description="steps of each page")
    pages: list[int] = Field(description="the `after` with which each page begins")
    started_at: str
    channels: list[str]
    messages: int = Field(description="of the customer")
    tokens: "Tokens"
    cost_usd: float | None
    failed: list[int]
    approvals: list[int]
    escalations: list[int]
    found: list[int] | None = Field(description="where `q` stands; null without it")


class Escalated(BaseModel):
    """One escalation and what came of it."""

    escalation_id: str
    thread_id: str
    reason: str
    status: Literal["sending", "delivered", "failed", "no_webhook"]
    attempts: int
    error: str | None
    requested_at: str
    handled_by: str | None
    kind: str | None
    times: int
    last_at: str | None


class ApprovalFigures(BaseModel):
    """Approvals asked for in the range, by what became of them."""

    requested: int
    approved: int
    rejected: int
    edited: int
    expired: int
    responded: int
    withdrawn: int
    pending: int
    median_seconds_to_decide: float | None


class AgentFigure(BaseModel):
    """The turns that an agent took part in."""

    agent: str
    turns: int


class ToolFigure(BaseModel):
    """How often a tool was called, and failed."""

    tool: str
    calls: int
    errors: int


class Percentiles(BaseModel):
    """In milliseconds; null where there was nothing."""

    p50: float | None
    p95: float | None
    p99: float | None


class Tokens(BaseModel):
    """Tokens, as the provider counted them."""

    input: int
    output: int


class Bucket(BaseModel):
    """One hour or day of the range; the counts stand beside `at`."""

    model_config = ConfigDict(extra="allow")

    at: str


class Figures(BaseModel):
    """Every figure of a range. Rates are 0 to 1, or null where nothing happened."""

    range: str
    since: str
    until: str
    conversations: int
    resolution_rate: Rate = Field(ge=0, le=1)
    escalation_rate: Rate = Field(ge=0, le=1)
    approvals: ApprovalFigures
    agents: list[AgentFigure]
    tools: list[ToolFigure]
    latency_ms: Percentiles
    tokens: Tokens
    cost_usd: float | None
    cost_per_conversation_usd: float | None
    series: list[Bucket]


class Rows(BaseModel):
    """What a question of one's own found."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class Me(BaseModel):
    """Who is asking."""

    name: str
    role: Literal["operator", "lead", "admin"]
    login: bool


class Agent(BaseModel):
    """An agent, as the agents file has it."""

    name: str
    title: str
    description: str
    tools: list[str]
    fallback: bool


class Tool(BaseModel):
    """A tool, and what the gate does with a call of it."""

    name: str
    description: str
    access: Literal["read", "write"]
    policy: Literal["run", "ask"]
    agents: list[str]


class ImportJob(BaseModel):
    """One import of an API's description."""

    job_id: str
    kind: str
    source: str
    title: str
    status: Literal["loading", "review", "failed", "live", "replaced", "removed"]
    progress: Object
    error: str | None


class ImportOperation(BaseModel):
    """One operation of an import, as it stands in the review."""

    key: str
    method: str | None
    path: str | None
    tool_name: str
    access: Literal["read", "write"]
    needs_approval: bool
    agent: str | None
    enabled: bool
    reasons: list[Any]


class Changed(BaseModel):
    """How many operations were changed."""

    changed: int


class Worded(BaseModel):
    """Which operations a language model worded anew, by their keys."""

    changed: list[str]


class Credentials(BaseModel):
    """Which schemes have credentials; never the credentials."""

    credentials: list[str]


class Tried(BaseModel):
    """What an API gave."""

    result: Any


class Compaction(BaseModel):
    """Whether what was erased has left the files, too."""

    compaction: Literal["none", "running", "done", "failed"]


class Erased(Compaction):
    """What is gone, and whether its bytes have left the files."""

    conversations: int
    approvals: int


class Backup(BaseModel):
    """A finished copy of all data, by the names of its files on the server."""

    folder: str
    taken_at: str
    version: str
    files: dict[str, Object]


class MadeUp(BaseModel):
    """How many conversations are made up."""

    conversations: int
