"""REST under `/api/v1`, one file a resource."""

from fastapi import APIRouter, HTTPException, Request
from starlette.routing import Match

from smart_support.api.routes.agents import router as agents_routes
from smart_support.api.routes.analytics import router as analytics_routes
from smart_support.api.routes.approvals import router as approvals_routes
from smart_support.api.routes.backup import router as backup_routes
from smart_support.api.routes.chat import router as chat_routes
from smart_support.api.routes.conversations import router as conversations_routes
from smart_support.api.routes.customers import router as customers_routes
from smart_support.api.routes.escalations import router as escalations_routes
from smart_support.api.routes.health import router as health_routes
from smart_support.api.routes.metrics import router as metrics_routes
from smart_support.api.routes.openapi import router as openapi_routes
from smart_support.api.routes.replay import router as replay_routes

router = APIRouter(prefix="/api/v1")
for resource in (
    *(health_routes, chat_routes, conversations_routes, replay_routes),
    *(approvals_routes, escalations_routes, analytics_routes, agents_routes, openapi_routes),
    *(customers_routes, metrics_routes, backup_routes),
):
    router.include_router(resource)


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def nothing_here(request: Request) -> None:
    """What no route above takes: without this the console, which is mounted behind, would answer."""
    ways = [route.matches(request.scope)[0] for route in router.routes]
    if Match.PARTIAL in ways:
        raise HTTPException(405, f"{request.method} is not for this route; see /api/v1/openapi.json")
    raise HTTPException(404, "there is no such route")
