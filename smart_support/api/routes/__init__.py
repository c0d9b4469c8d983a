"""REST under `/api/v1`, one file a resource."""

from fastapi import APIRouter

from smart_support.api.routes.agents import router as agents
from smart_support.api.routes.analytics import router as analytics
from smart_support.api.routes.approvals import router as approvals
from smart_support.api.routes.chat import router as chat
from smart_support.api.routes.conversations import router as conversations
from smart_support.api.routes.health import router as health
from smart_support.api.routes.replay import router as replay

router = APIRouter(prefix="/api/v1")
for resource in (health, chat, conversations, replay, approvals, analytics, agents):
    router.include_router(resource)
