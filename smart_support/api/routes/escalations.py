"""`/escalations`: where a human was asked for, whether they could be told, and telling them again."""

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import lead, services
from smart_support.api.envelope import answer
from smart_support.identity.users import User
from smart_support.services import Services

router = APIRouter(prefix="/escalations", tags=["escalations"], dependencies=[Depends(lead)])


@router.get("", response_model=schemas.Page[schemas.Escalated])
async def list_escalations(
    open: bool = Query(False, description="only those that nobody has seen to yet"),
    limit: int = Query(100, ge=1, le=100),
    services: Services = Depends(services),
) -> Response:
    """Escalations, the newest first, each with the state of its delivery."""
    return answer([one.wire() for one in await services.escalations.list(open_only=open, limit=limit)])


@router.post("/{escalation_id}/resend", response_model=schemas.Answer[schemas.Escalated])
async def resend(escalation_id: str, services: Services = Depends(services)) -> Response:
    """Try a dead letter again; answers with what came of it."""
    return answer((await services.escalations.resend(escalation_id)).wire())


@router.post("/{escalation_id}/handled", response_model=schemas.Answer[schemas.Escalated])
async def handled(
    escalation_id: str, user: User = Depends(lead), services: Services = Depends(services)
) -> Response:
    """Say that somebody has seen to it."""
    return answer((await services.escalations.handled(escalation_id, user.name)).wire())
