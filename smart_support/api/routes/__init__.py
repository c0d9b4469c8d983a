"""REST under `/api/v1`, one file a resource."""

from fastapi import APIRouter

from smart_support.api.routes import agents, analytics, approvals, chat, conversations, health, replay

router = APIRouter(prefix="/api/v1")
for resource in (health, chat, conversations, replay, approvals, analytics, agents):
    router.include_router(resource.router)
