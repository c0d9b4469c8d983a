"""`/escalations`: lists escalations, and sends them again."""

from fastapi import Depends, Query
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.escalations.escalations import EscalationRecord
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/escalations", tags=["escalations"], dependencies=[Depends(lead)])


@router.get("", response_model=schemas.Page[EscalationRecord])
async def list_escalations(
    open: bool = Query(False, description="only those that nobody has handled"),
    limit: int = Query(100, ge=1, le=100),
    services: Services = Depends(services),
) -> Response:
    """List escalations, newest first, with their delivery."""
    return answer([one.wire() for one in await services.escalations.list(open_only=open, limit=limit)])


@router.post("/{escalation_id}/resend", response_model=schemas.Answer[EscalationRecord])
async def resend(escalation_id: str, services: Services = Depends(services)) -> Response:
    """Send a failed escalation again, and answer with the outcome."""
    return answer((await services.escalations.resend(escalation_id)).wire())


@router.post("/{escalation_id}/handled", response_model=schemas.Answer[EscalationRecord])
async def handled(
    escalation_id: str, user: User = Depends(lead), services: Services = Depends(services)
) -> Response:
    """Mark an escalation as handled."""
    return answer((await services.escalations.handled(escalation_id, user.name)).wire())
