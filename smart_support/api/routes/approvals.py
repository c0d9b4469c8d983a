"""`/approvals`: what waits for a human, and the decision."""

from typing import Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.api.dependencies import services
from smart_support.api.envelope import answer
from smart_support.auth import LOCAL_USER

router = APIRouter(prefix="/approvals", tags=["approvals"])


class DecisionRequest(BaseModel):
    """A human's word on an approval."""

    decision: Literal["approve", "reject", "edit"]
    reason: str | None = Field(None, max_length=2000)
    args: dict[str, Any] | None = Field(None, description="with `edit`: the arguments to run instead")


@router.get("")
async def list_approvals(
    status: Literal["pending", "approved", "rejected", "edited", "expired"] | None = None,
    limit: int = Query(50, ge=1, le=100),
    cursor: str | None = Query(None, max_length=64),
    services: Any = Depends(services),
) -> Response:
    """Approvals, the newest first."""
    found = await services.approvals.list(status, limit=limit + 1, before=cursor)
    more = found[limit - 1].approval_id if len(found) > limit else None
    return answer([approval.wire() for approval in found[:limit]], meta={"next_cursor": more})


@router.get("/{approval_id}")
async def get_approval(approval_id: str, services: Any = Depends(services)) -> Response:
    """One approval."""
    return answer((await services.approvals.get(approval_id)).wire())


@router.post("/{approval_id}/decision")
async def decide(approval_id: str, body: DecisionRequest, services: Any = Depends(services)) -> Response:
    """Decide. Answers as soon as the decision is durable; the conversation goes on by itself."""
    decided = await services.turns.decide(
        approval_id, body.decision, decided_by=LOCAL_USER, via="rest", reason=body.reason, args=body.args
    )
    return answer(decided.wire())
