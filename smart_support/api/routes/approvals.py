"""`/approvals`: list and decide approvals, claim them, and add notes."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from smart_support.api import schemas
from smart_support.api.dependencies import channel, lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.approvals.approval import Status
from smart_support.approvals.decision import DecisionInput, reason_or_answer
from smart_support.approvals.reader import ApprovalFilter, Sort
from smart_support.errors import SmartSupportError
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/approvals", tags=["approvals"], dependencies=[Depends(lead)])
MAX_BATCH = 100


_NULL: Any = {"type": "null"}
_TEXT: Any = {"type": "string"} | schemas.text(2000)
# `message` goes with `respond` only, and is its answer; so is `reason`.
_MESSAGE_WITH_RESPOND: Any = {
    "anyOf": [
        {"properties": {"decision": {"enum": ["approve", "reject", "edit"]}, "message": _NULL}},
        {
            "properties": {"decision": {"const": "respond"}, "message": _TEXT, "reason": _NULL},
            "required": ["message"],
        },
        {
            "properties": {"decision": {"const": "respond"}, "message": _NULL, "reason": _TEXT},
            "required": ["reason"],
        },
    ]
}


class DecisionRequest(BaseModel):
    """A decision on an approval."""

    model_config = ConfigDict(json_schema_extra=_MESSAGE_WITH_RESPOND)

    decision: Literal["approve", "reject", "edit", "respond"]
    reason: str | None = Field(None, max_length=2000)
    message: str | None = Field(
        None, max_length=2000, description="with `respond`: the answer that replaces the tool's result"
    )
    args: dict[str, Any] | None = Field(None, description="with `edit`: the arguments to run instead")


class BatchRequest(BaseModel):
    """One decision for several approvals; each has its own outcome."""

    approval_ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=MAX_BATCH)
    decision: Literal["approve", "reject"]
    reason: str | None = Field(None, max_length=2000)


class EditRequest(BaseModel):
    """Arguments for a preview."""

    args: dict[str, Any]


class NoteRequest(BaseModel):
    """A note on an approval."""

    text: str = Field(description="1 to 2,000 characters", json_schema_extra=schemas.text(2000))


class Filters(BaseModel):
    """The filters and order of the list."""

    status: Status | None = None
    agent: str | None = Field(None, max_length=100)
    action: str | None = Field(None, max_length=100)
    risk: Literal["low", "medium", "high"] | None = None
    customer_id: str | None = Field(None, max_length=200)
    thread_id: str | None = Field(None, max_length=128)
    q: str | None = Field(
        None, max_length=200, description="text in the summary, the arguments or the customer id"
    )
    sort: Sort = Field("newest", description="`decided`: what people decided or let expire, the latest first")
    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = Field(None, max_length=80, pattern=r"^(([A-Z]{3})?-?\d{0,18}\.)?[^.]*$")


@router.get("", response_model=schemas.Page[schemas.Approval])
async def list_approvals(
    filters: Annotated[Filters, Query()], services: Services = Depends(services)
) -> Response:
    """List approvals: newest or oldest first, by risk (then oldest first), expiry, amount or decision."""
    approvals, cursor = await services.approvals.find(ApprovalFilter(**filters.model_dump()))
    return answer([approval.wire() for approval in approvals], meta={"next_cursor": cursor})


@router.post("/batch", response_model=schemas.Page[schemas.BatchOutcome])
async def decide_several(
    body: BatchRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Decide several approvals. Each is decided by itself; the answer has the outcome of each."""
    decision = DecisionInput(body.decision, decided_by=user.name, via=via, reason=body.reason)
    outcomes = []
    for approval_id in dict.fromkeys(body.approval_ids):
        try:
            decided = await services.turns.decide(approval_id, decision)
            outcomes.append({"approval_id": approval_id, "approval": decided.wire(), "error": None})
        except SmartSupportError as error:
            failed = {"code": error.code, "message": error.message}
            outcomes.append({"approval_id": approval_id, "approval": None, "error": failed})
    return answer(outcomes)


@router.get("/{approval_id}", response_model=schemas.Answer[schemas.Approval])
async def get_approval(approval_id: str, services: Services = Depends(services)) -> Response:
    """Get an approval."""
    return answer((await services.approvals.get(approval_id)).wire())


@router.get("/{approval_id}/context", response_model=schemas.Answer[schemas.ApprovalContext])
async def get_context(approval_id: str, services: Services = Depends(services)) -> Response:
    """The last messages before the request, and other approvals that concern the same things."""
    return answer(asdict(await services.approval_contexts.get(approval_id)))


@router.get("/{approval_id}/history", response_model=schemas.Page[schemas.HistoryEntry])
async def get_history(approval_id: str, services: Services = Depends(services)) -> Response:
    """The history of an approval, oldest entry first: requested, claimed, noted, decided, executed."""
    return answer(await services.approvals.history(approval_id))


@router.post("/{approval_id}/decision", response_model=schemas.Answer[schemas.Approval])
async def decide(
    approval_id: str,
    body: DecisionRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Decide an approval. Answers when the decision is durable; the conversation continues by itself.

    If two leads are required, the approval stays pending after the first one, with a vote. A decision that is
    not in the approval's `allowed` fails with `decision_not_allowed`.
    """
    reason = reason_or_answer(body.decision, body.reason, body.message)
    decision = DecisionInput(body.decision, decided_by=user.name, via=via, reason=reason, args=body.args)
    return answer((await services.turns.decide(approval_id, decision)).wire())


@router.post("/{approval_id}/preview", response_model=schemas.Answer[schemas.Edit])
async def preview(approval_id: str, body: EditRequest, services: Services = Depends(services)) -> Response:
    """Preview the card with other arguments, without deciding; fails where that edit would fail."""
    return answer((await services.turns.preview_edit(approval_id, body.args)).edited_fields())


@router.post("/{approval_id}/claim", response_model=schemas.Answer[schemas.Approval])
async def claim(
    approval_id: str,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Claim an approval for five minutes, so that others see who works on it."""
    return answer((await services.claims.claim(approval_id, by=user.name, via=via)).wire())


@router.delete("/{approval_id}/claim", response_model=schemas.Answer[schemas.Approval])
async def release(
    approval_id: str,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Release a claim."""
    return answer((await services.claims.release(approval_id, by=user.name, via=via)).wire())


@router.post("/{approval_id}/notes", response_model=schemas.Answer[schemas.Approval])
async def note(
    approval_id: str,
    body: NoteRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Add a note to the approval's history."""
    return answer((await services.claims.note(approval_id, body.text, by=user.name, via=via)).wire())
