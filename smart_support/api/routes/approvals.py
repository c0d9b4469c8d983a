"""`/approvals`: what waits or waited for a human, deciding it, and working on it together."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.api import request_shapes, schemas
from smart_support.api.dependencies import channel, lead, services
from smart_support.api.envelope import answer
from smart_support.approvals.approval import Status
from smart_support.approvals.decision import DecisionInput, reason_or_answer
from smart_support.approvals.reader import Wanted
from smart_support.errors import SmartSupportError
from smart_support.identity.users import User
from smart_support.services import Services

router = APIRouter(prefix="/approvals", tags=["approvals"], dependencies=[Depends(lead)])
MAX_BATCH = 100


class DecisionRequest(BaseModel):
    """What a human decides."""

    decision: Literal["approve", "reject", "edit", "respond"]
    reason: str | None = Field(None, max_length=2000)
    message: str | None = Field(
        None, max_length=2000, description="with `respond`: the answer that stands for the tool's result"
    )
    args: dict[str, Any] | None = Field(None, description="with `edit`: the arguments to run instead")


class BatchRequest(BaseModel):
    """One decision for several approvals, each of which still has its own outcome."""

    approval_ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=MAX_BATCH)
    decision: Literal["approve", "reject"]
    reason: str | None = Field(None, max_length=2000)


class EditRequest(BaseModel):
    """Arguments to try."""

    args: dict[str, Any]


class NoteRequest(BaseModel):
    """A note for whoever looks at the approval next."""

    text: str = Field(description="1 to 2,000 characters", json_schema_extra=request_shapes.text(2000))


class Filters(BaseModel):
    """Which approvals, in which order."""

    status: Status | None = None
    agent: str | None = Field(None, max_length=100)
    action: str | None = Field(None, max_length=100)
    risk: Literal["low", "medium", "high"] | None = None
    customer_id: str | None = Field(None, max_length=200)
    q: str | None = Field(None, max_length=200, description="words in the summary, arguments, customer")
    sort: Literal["newest", "oldest", "risk"] = "newest"
    limit: int = Field(50, ge=1, le=100)
    cursor: str | None = Field(None, max_length=80, pattern=r"^([012]\.)?[^.]*$")


@router.get("", response_model=schemas.Page[schemas.Approval])
async def list_approvals(
    filters: Annotated[Filters, Query()], services: Services = Depends(services)
) -> Response:
    """Approvals: the newest first, the oldest first, or the riskiest and of those the oldest first."""
    found, cursor = await services.approvals.find(Wanted(**filters.model_dump()))
    return answer([approval.wire() for approval in found], meta={"next_cursor": cursor})


@router.post("/batch", response_model=schemas.Page[schemas.DecidedOne])
async def decide_several(
    body: BatchRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Decide several at once. Each is decided by itself: the answer tells for each what came of it."""
    decision = DecisionInput(body.decision, decided_by=user.name, via=via, reason=body.reason)
    outcomes = []
    for approval_id in dict.fromkeys(body.approval_ids):
        try:
            decided = await services.turns.decide(approval_id, decision)
            outcomes.append({"approval_id": approval_id, "approval": decided.wire(), "error": None})
        except SmartSupportError as error:
            told = {"code": error.code, "message": error.message}
            outcomes.append({"approval_id": approval_id, "approval": None, "error": told})
    return answer(outcomes)


@router.get("/{approval_id}", response_model=schemas.Answer[schemas.Approval])
async def get_approval(approval_id: str, services: Services = Depends(services)) -> Response:
    """One approval."""
    return answer((await services.approvals.get(approval_id)).wire())


@router.get("/{approval_id}/history", response_model=schemas.Page[schemas.Happened])
async def get_history(approval_id: str, services: Services = Depends(services)) -> Response:
    """All that happened to one approval: asked, claimed, noted, decided, executed; the oldest first."""
    return answer(await services.approvals.history(approval_id))


@router.post("/{approval_id}/decision", response_model=schemas.Answer[schemas.Approval])
async def decide(
    approval_id: str,
    body: DecisionRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Decide. Answers as soon as the decision is durable; the conversation goes on by itself.

    Where two leads are needed, the first approval leaves it pending, with a vote. A decision that is not in
    the approval's `allowed` is refused as `decision_not_allowed`, and it stays pending.
    """
    reason = reason_or_answer(body.decision, body.reason, body.message)
    decision = DecisionInput(body.decision, decided_by=user.name, via=via, reason=reason, args=body.args)
    return answer((await services.turns.decide(approval_id, decision)).wire())


@router.post("/{approval_id}/preview", response_model=schemas.Answer[schemas.Edit])
async def preview(approval_id: str, body: EditRequest, services: Services = Depends(services)) -> Response:
    """What its card would say with other arguments. Nothing is decided; refused as that edit would be."""
    return answer((await services.turns.preview_edit(approval_id, body.args)).edited_fields())


@router.post("/{approval_id}/claim", response_model=schemas.Answer[schemas.Approval])
async def claim(
    approval_id: str,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Say that one is at work on it; the claim lapses after five minutes."""
    return answer((await services.desk.claim(approval_id, by=user.name, via=via)).wire())


@router.delete("/{approval_id}/claim", response_model=schemas.Answer[schemas.Approval])
async def release(
    approval_id: str,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Give the claim back."""
    return answer((await services.desk.release(approval_id, by=user.name, via=via)).wire())


@router.post("/{approval_id}/notes", response_model=schemas.Answer[schemas.Approval])
async def note(
    approval_id: str,
    body: NoteRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Leave a note; it is in the approval's history."""
    return answer((await services.desk.note(approval_id, body.text, by=user.name, via=via)).wire())
