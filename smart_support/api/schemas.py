"""The schemas of `/api/v1/openapi.json`, derived from the domain's classes where possible.

They only describe: routes build their answers themselves. `tests/api/test_schemas.py` compares both.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Annotated, Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from smart_support.approvals import approval
from smart_support.connectors.review import import_store
from smart_support.conversation.erasure import Compaction
from smart_support.conversation.takeovers import Note
from smart_support.gate.planned_call import EDITED_FIELDS, PlannedCall

T = TypeVar("T")
TIMESTAMP: Any = {"format": "date-time"}
THREAD_ID: Any = {"pattern": "^[A-Za-z0-9_.:-]{1,128}$"}
Object = dict[str, Any]
Rate = float | None
Risk = Literal["low", "medium", "high"]
Outcome = Literal["approved", "rejected", "edited", "expired", "responded", "withdrawn"]


def text(max_chars: int) -> Any:
    """The schema of text that is not only white space."""
    return {"minLength": 1, "maxLength": max_chars, "pattern": r"\S"}


def _fields_of(cls: type, *names: str, without: Collection[str] = (), **narrower: Any) -> dict[str, Any]:
    """The fields of a dataclass, all or `names`, with their types or the `narrower` ones."""
    hints = get_type_hints(cls) | narrower
    chosen = names or [item.name for item in fields(cls) if item.name not in without]
    return {name: (hints[name], ...) for name in chosen}


def _described_by(**parts: Any) -> ConfigDict:
    """A model configuration that describes these fields; a model derived so needs no fields of its own."""
    schema = create_model("Fields", **parts).model_json_schema()
    definitions = schema.get("$defs", {})
    extra = {name: _inlined(schema[name], definitions) for name in ("properties", "required")}
    return ConfigDict(json_schema_extra=extra)


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with definitions in the place of references to them: it becomes a part of another document."""
    if isinstance(schema, list):
        return [_inlined(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if (name := str(schema.get("$ref", "")).removeprefix("#/$defs/")) in definitions:
        return _inlined(definitions[name], definitions)
    return {name: _inlined(value, definitions) for name, value in schema.items()}


def _one_field(name: str, **schema: Any) -> Any:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


IMPORT_BODY: Any = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    _one_field("url", type="string", pattern=r"\S", description="URL of the description"),
                    _one_field(
                        "spec", type=["string", "object", "array"], description="the description itself"
                    ),
                    _one_field(
                        "mcp", type="string", pattern=r"\S", description="URL or name of an MCP server"
                    ),
                    _one_field("openapi", description="or the body is itself the description"),
                    _one_field("swagger", description="or the body is itself the description"),
                ]
            }
        },
        "multipart/form-data": {"schema": _one_field("file", type="string", format="binary")},
    },
}


class Answer(BaseModel, Generic[T]):
    """The answer of a route that succeeded."""

    success: Literal[True]
    data: T
    error: None


class Cursor(BaseModel):
    """`next_cursor` gets the next page; it is null on the last one."""

    next_cursor: str | int | None


class Page(Answer[list[T]], Generic[T]):
    """An answer with a page of a list."""

    meta: Cursor


class Warnings(Cursor):
    """What is wrong with the configuration, such as tools that do not exist, in sentences."""

    warnings: list[str]


class Configured(Answer[list[T]], Generic[T]):
    """An answer with a whole list, and warnings about its configuration."""

    meta: Warnings


class Error(BaseModel):
    """An error: a code for programs, a sentence for people."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """The answer of a route that failed."""

    success: Literal[False]
    data: None
    error: Error


ERROR_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "Not authenticated: `unauthorized`"},
    403: {"model": ErrorAnswer, "description": "The user may not do this: `forbidden`"},
    "4XX": {"model": ErrorAnswer, "description": "The request failed; `error.code` says why"},
    "5XX": {"model": ErrorAnswer, "description": "The server failed; `error.code` says how"},
}


def file_of(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe an answer that is a file or a stream of these types."""
    return {200: {"content": {media_type: {} for media_type in media_types}}}


class Health(BaseModel):
    """The health of a process, without the envelope of other answers."""

    status: Literal["ok", "degraded"]
    version: str
    checks: dict[str, str]


class ApprovalCaller(BaseModel):
    """The API client that requested a call. All but its name is what the client says of itself."""

    name: str
    client_name: str | None = None
    client_version: str | None = None
    session: str | None = None
    reason: str | None = None


class ApprovalCustomer(BaseModel):
    """Whom a call is for. `verified`: a website has vouched for the customer of the conversation."""

    id: str
    verified: bool
    name: str | None = None
    email: str | None = None


class Amount(BaseModel):
    """An amount of money, in hundredths of its currency."""

    minor: int
    currency: str | None


class Approval(BaseModel):
    """A call that a human decides."""

    model_config = _described_by(
        **_fields_of(
            approval.Approval,
            without=approval.NOT_ON_WIRE,
            execution=Literal["not_started", "done", "failed", "outcome_unknown"] | None,
            reason=Annotated[str | None, Field(description="why; with `responded`, the person's answer")],
            allowed=list[Literal["approve", "edit", "reject", "respond"]],
            args_schema=Annotated[
                Object | None, Field(description="JSON Schema of the arguments an edit may give, if known")
            ],
        ),
        **_fields_of(PlannedCall, *approval.CALL_ON_WIRE, risk=Risk),
        action=(str, ...),
        caller=(ApprovalCaller | None, ...),
        customer=(ApprovalCustomer | None, ...),
        tool_call_id=(str | None, ...),
        amount=(Amount | None, ...),
        duplicate_key=(str, Field(description="equal for calls that may ask for the same thing twice")),
    )


class RelatedApproval(BaseModel):
    """Another approval, and what it shares with this one."""

    relation: Literal["duplicate", "same_thread", "same_customer"]
    approval: Approval


class ContextMessage(BaseModel):
    """A message of the conversation before the request. `by`: the agent or the colleague."""

    at: str
    role: Literal["customer", "agent", "colleague"]
    by: str | None
    content: str


class ApprovalContext(BaseModel):
    """What helps to decide an approval."""

    words: list[ContextMessage]
    related: list[RelatedApproval]
    changed_since: list[dict[str, str]] | None


class Edit(BaseModel):
    """The card of an approval with other arguments."""

    model_config = _described_by(**_fields_of(PlannedCall, *EDITED_FIELDS))


class BatchOutcome(BaseModel):
    """The outcome for one approval of a batch: the approval, or the error."""

    approval_id: str
    approval: Approval | None
    error: Error | None


class HistoryEntry(BaseModel):
    """An entry of an approval's history."""

    at: str
    kind: str
    actor: str
    via: str | None
    digest: str | None
    detail: Object


class Usage(BaseModel):
    """The tokens and cost of a turn."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None


class ToolCall(BaseModel):
    """A tool call of a turn."""

    tool: str
    args: Object | None
    tool_call_id: str
    agent: str
    status: Literal["pending", "ok", "error", "rejected", "expired", "skipped"]
    result: Any


class Reply(BaseModel):
    """The outcome of a turn."""

    thread_id: str
    status: Literal["complete", "awaiting_approval", "clarification", "error"]
    agent: str | None
    reply: str
    tool_calls: list[ToolCall]
    clarification: Object | None
    escalation: Object | None
    approval: Approval | None
    usage: Usage | None
    incomplete: str | None
    error: Error | None


class Action(BaseModel):
    """A tool call of an API client."""

    action_id: str
    thread_id: str
    tool: str
    args: Object
    status: Literal["pending", "running", "done", "rejected", "expired", "failed", "outcome_unknown"]
    joined: bool = Field(description="this repeats a call, and the action is that of the first one")
    possible_duplicate: bool = Field(description="the same call was made before, within 24 hours")
    approval_id: str | None
    result: Any
    message: str | None = Field(description="what it waits for, or why it has no result")
    requested_at: str
    expires_at: str | None
    settled_at: str | None


class Conversation(BaseModel):
    """A conversation in a list."""

    thread_id: str
    opening: str | None = Field(description="the beginning of the customer's first message")
    customer_id: str | None
    started_at: str
    last_at: str
    turns: int
    agents: list[str]
    status: Literal["active", "waiting", "ended"]
    outcome: Literal["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"] | None
    cost_usd: float | None
    taken_by: str | None = Field(description="the person who has it in place of the agents")


class Holder(BaseModel):
    """Who has a conversation."""

    thread_id: str
    taken_by: str | None = Field(description="a person, or null for the agents")
    taken_at: str | None


class Sent(BaseModel):
    """A message that a person has sent."""

    thread_id: str
    message_id: str


class LastMessage(BaseModel):
    """What was said last in a conversation."""

    role: Literal["customer", "agent", "colleague"]
    by: str | None = Field(description="the agent or the colleague")
    text: str = Field(description="the beginning of it")
    at: str


class OpenEscalation(BaseModel):
    """An escalation that nobody has handled."""

    escalation_id: str
    reason: str
    kind: str | None
    requested_at: str


class Customer(BaseModel):
    """A customer; `verified`: whether a website vouches that it is them, with what it says of them."""

    id: str
    verified: bool
    name: str | None = None
    email: str | None = None


class InboxItem(BaseModel):
    """A conversation in the inbox."""

    thread_id: str
    customer_id: str | None
    customer: Customer | None
    owner: str | None = Field(description="the user who began it")
    opening: str | None = Field(description="the beginning of the customer's first message")
    started_at: str
    last_at: str = Field(description="the latest activity")
    last: LastMessage | None
    last_seq: int = Field(description="the number of its last event, when no turn ran")
    status: Literal["escalated", "waiting", "taken", "active", "ended"]
    since: str | None = Field(description="since when somebody waits: for a person, a decision, or an answer")
    pending: int = Field(description="approvals that wait")
    escalation: OpenEscalation | None
    taken_by: str | None = Field(description="the person who has it in place of the agents")
    taken_at: str | None
    unread: bool = Field(description="the customer has said something that no person has seen or answered")
    is_running: bool = Field(description="a turn runs")
    notes: int = Field(description="how many notes colleagues have left")


class InboxMeta(Cursor):
    """`counts`: how many conversations each filter has; operators have no `mine`."""

    counts: dict[str, int]


class InboxPage(Answer[list[InboxItem]]):
    """A page of the inbox."""

    meta: InboxMeta


class InboxCustomer(BaseModel):
    """What is on record of a conversation's customer."""

    thread_id: str
    customer: Customer | None
    has_card: bool = Field(description="a tool can say what the customer has")
    approvals: list[Approval] = Field(description="those that wait, of this and their other conversations")
    earlier: list[InboxItem]
    notes: list[Note]


class CustomerCard(BaseModel):
    """What a tool says of a customer."""

    tool: str
    result: Any


class Step(BaseModel):
    """A recorded step, with the fields of its event type on the WebSocket."""

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
        "takeover",
        "message_complete",
        "error",
    ]
    at: str
    agent: str | None


class Outline(BaseModel):
    """A conversation without its content. Numbers of steps begin at 1."""

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
    found: list[int] | None = Field(description="the steps that contain `q`; null without it")


class ApprovalFigures(BaseModel):
    """Approvals requested in the range, by outcome."""

    requested: int
    approved: int
    rejected: int
    edited: int
    expired: int
    responded: int
    withdrawn: int
    pending: int
    median_seconds_to_decide: float | None
    p95_seconds_to_decide: float | None
    by_policy: int = Field(description="writes that a policy approved")


class CallerFigure(BaseModel):
    """What an API client called, over REST or MCP."""

    caller: str
    calls: int
    approvals: int
    errors: int


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
    """Milliseconds; null without data."""

    p50: float | None
    p95: float | None
    p99: float | None


class Tokens(BaseModel):
    """Token counts of the provider."""

    input: int
    output: int


class Bucket(BaseModel):
    """An hour or day of the range; its counts are additional fields."""

    model_config = ConfigDict(extra="allow")

    at: str


class Figures(BaseModel):
    """All figures of a range. Rates are 0 to 1, or null without data."""

    range: str
    filters: Object
    since: str
    until: str
    conversations: int
    outcomes: dict[str, int]
    resolution_rate: Rate = Field(ge=0, le=1)
    escalation_rate: Rate = Field(ge=0, le=1)
    escalations: list[Object]
    reopened: Object
    turns_to_resolution: Object
    approvals: ApprovalFigures
    leads: list[Object]
    approval_tools: list[Object]
    agents: list[AgentFigure]
    callers: list[CallerFigure]
    tools: list[ToolFigure]
    tool_errors: list[Object]
    latency_ms: Percentiles
    first_token_ms: Percentiles
    tokens: Tokens
    cost_usd: float | None
    cost_per_conversation_usd: float | None
    models: list[Object]
    hours_saved: Object
    series: list[Bucket]
    previous: Object | None = Field(None, description="with `compare`: the figures of the preceding range")


class Me(BaseModel):
    """The authenticated user.

    Attributes:
        display_name: of somebody who logs in with the identity provider.
    """

    name: str
    role: Literal["operator", "lead", "admin"]
    login: bool
    display_name: str = ""


class Agent(BaseModel):
    """An agent of the agents file."""

    name: str
    title: str
    description: str
    tools: list[str]
    examples: list[str]
    fallback: bool
    writes_per_hour: int | None


class Tool(BaseModel):
    """A tool, and what the gate does with its calls."""

    name: str
    description: str
    access: Literal["read", "write"]
    policy: Literal["run", "ask"]
    rules: list[Object]
    risk: Risk
    idempotent: bool
    version: str
    agents: list[str]


class ImportJob(BaseModel):
    """An import of an API's description."""

    model_config = _described_by(
        **_fields_of(
            import_store.ImportJob,
            status=Literal["loading", "review", "failed", "live", "replaced", "removed"],
        )
    )


class ImportOperation(BaseModel):
    """An operation of an import, as it is reviewed."""

    key: str
    method: str | None
    path: str | None
    tool_name: str
    access: Literal["read", "write"]
    needs_approval: bool
    agent: str | None
    enabled: bool
    reasons: list[Any]
    changes: list[dict[str, str]]


class BlockedOperation(BaseModel):
    """An operation that could not be changed, and why."""

    key: str
    tool_name: str
    message: str


class ChangedOperations(BaseModel):
    """The number of changed operations, and with `leave_out` those that were left out."""

    changed: int
    left_out: list[BlockedOperation] = []


class RewordedOperations(BaseModel):
    """The keys of the operations that a language model renamed or described."""

    changed: list[str]


class Credentials(BaseModel):
    """The schemes that have credentials. Credentials are never shown."""

    credentials: list[str]


class TrialResult(BaseModel):
    """The result of calling an API."""

    result: Any


class CompactionState(BaseModel):
    """Whether erased data has been removed from the files."""

    compaction: Compaction


class DemoHistory(BaseModel):
    """The number of demo conversations."""

    conversations: int
