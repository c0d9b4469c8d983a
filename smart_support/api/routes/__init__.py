"""The REST API under `/api/v1`, one file per resource."""

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

from smart_support.api.rest_router import PREFIX, rest_router
from smart_support.api.routes.actions import router as actions_routes
from smart_support.api.routes.agents import router as agents_routes
from smart_support.api.routes.analytics import router as analytics_routes
from smart_support.api.routes.approvals import router as approvals_routes
from smart_support.api.routes.backup import router as backup_routes
from smart_support.api.routes.callers import router as callers_routes
from smart_support.api.routes.chat import router as chat_routes
from smart_support.api.routes.conversations import router as conversations_routes
from smart_support.api.routes.customers import router as customers_routes
from smart_support.api.routes.escalations import router as escalations_routes
from smart_support.api.routes.freeze import router as freeze_routes
from smart_support.api.routes.health import router as health_routes
from smart_support.api.routes.inbox import router as inbox_routes
from smart_support.api.routes.metrics import router as metrics_routes
from smart_support.api.routes.notifications import router as notifications_routes
from smart_support.api.routes.openapi import router as openapi_routes
from smart_support.api.routes.replay import router as replay_routes
from smart_support.api.routes.takeovers import router as takeovers_routes

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
router = rest_router()
# The last one answers what no other has a route for.
ROUTERS = (
    *(health_routes, chat_routes, conversations_routes, inbox_routes, takeovers_routes, replay_routes),
    *(approvals_routes, freeze_routes, escalations_routes, analytics_routes, agents_routes, openapi_routes),
    notifications_routes,
    *(actions_routes, callers_routes, customers_routes, metrics_routes, backup_routes),
    router,
)
_ROUTES = [route for one in ROUTERS for route in one.routes if isinstance(route, APIRoute)]


@router.api_route("/{path:path}", methods=METHODS, include_in_schema=False)
async def no_route(request: Request) -> None:
    """Answer paths without a route, which would otherwise reach the console that is mounted at `/`."""
    allowed = _methods(f"{PREFIX}/{request.path_params['path']}")
    if allowed:
        message = f"{request.method} is not allowed here; see /api/v1/openapi.json"
        raise HTTPException(405, message, {"Allow": ", ".join(allowed)})
    raise HTTPException(404, "there is no such route")


def _methods(path: str) -> list[str]:
    """The methods of the first route whose template matches the path."""
    template = next((route.path for route in _ROUTES if route.path_regex.match(path)), None)
    allowed = {method for route in _ROUTES if route.path == template for method in route.methods or ()}
    return [method for method in METHODS if method in allowed]
