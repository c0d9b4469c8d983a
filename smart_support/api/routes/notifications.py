"""`/notifications`: lists notifications, and sends failed ones again."""

from dataclasses import dataclass
from typing import Literal

from fastapi import Depends, Query
from fastapi.responses import Response

from smart_support.api import schemas
from smart_support.api.dependencies import lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.notifications.outbox import Notification
from smart_support.services import Services

router = rest_router("/notifications", tags=["notifications"], dependencies=[Depends(lead)])


@dataclass(frozen=True, slots=True)
class Resent:
    """How many notifications are sent again."""

    count: int


@router.get("", response_model=schemas.Page[Notification])
async def list_notifications(
    status: Literal["waiting", "delivered", "failed", "skipped"] | None = Query(None),
    limit: int = Query(100, ge=1, le=100),
    services: Services = Depends(services),
) -> Response:
    """List notifications, newest first, with their delivery."""
    notifications = await services.notifications.outbox.newest(status=status, limit=limit)
    return answer([one.wire() for one in notifications])


@router.post("/resend", response_model=schemas.Answer[Resent])
async def resend_all(services: Services = Depends(services)) -> Response:
    """Send every failed notification again, soon."""
    return answer({"count": await services.notifications.resend_all()})


@router.post("/{notification_id}/resend", response_model=schemas.Answer[Notification])
async def resend(notification_id: str, services: Services = Depends(services)) -> Response:
    """Send a failed notification again, soon."""
    return answer((await services.notifications.resend(notification_id)).wire())
