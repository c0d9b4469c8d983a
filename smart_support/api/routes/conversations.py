"""`/conversations`: the list of recorded conversations."""

from typing import Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from smart_support.analytics.filters import COUNTED, About, Counted
from smart_support.analytics.time_range import span
from smart_support.api import request_shapes, schemas
from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer
from smart_support.events import EscalationKind, Outcome
from smart_support.identity.users import Role, User
from smart_support.services import Services

router = APIRouter(tags=["conversations"])


@router.get("/conversations", response_model=schemas.Page[schemas.Conversation])
async def list_conversations(
    status: Literal["active", "waiting", "ended"] | None = None,
    agent: str | None = Query(None, max_length=128, description="only those this agent took part in"),
    outcome: list[Literal["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"]]
    | None = Query(None, description="given more than once: any of them"),
    q: str | None = Query(None, max_length=200, description="text in a message, thread id or customer id"),
    since: str | None = Query(
        None,
        max_length=64,
        description="started at or after: RFC 3339",
        json_schema_extra=request_shapes.MOMENT,
    ),
    until: str | None = Query(
        None,
        max_length=64,
        description="started before: RFC 3339",
        json_schema_extra=request_shapes.MOMENT,
    ),
    tool: str | None = Query(None, max_length=128, description="only those in which it was called"),
    error_class: Literal["transient", "validation", "auth", "unknown"] | None = Query(
        None, description="only those in which a tool, or that tool, failed so"
    ),
    approval: Outcome | Literal["asked", "pending", "by_policy"] | None = Query(
        None,
        description="only those with an approval that ended so, was asked for or waits; or a write without",
    ),
    decided_by: str | None = Query(None, max_length=128, description="only those with a decision by them"),
    escalation: EscalationKind | None = Query(None, description="only those in which a human was called so"),
    channel: Literal["socket", "rest", "gradio", "console", "system"] | None = None,
    figure: Literal[COUNTED] | None = Query(  # type: ignore[valid-type]
        None, description="only those behind what this figure counted, whenever they began"
    ),
    line: str | None = Query(
        None, max_length=128, description="of `figure`, one line: an agent, a tool, an outcome, a lead"
    ),
    counted_since: str | None = Query(
        None,
        max_length=64,
        description="of `figure`: what happened at or after; RFC 3339",
        json_schema_extra=request_shapes.MOMENT,
    ),
    counted_until: str | None = Query(
        None,
        max_length=64,
        description="of `figure`: what happened before; RFC 3339",
        json_schema_extra=request_shapes.MOMENT,
    ),
    limit: int = Query(50, ge=1, le=100),
    cursor: str | None = Query(
        None, max_length=512, pattern="^[A-Za-z0-9_-]+$", description="`next_cursor` of the page before"
    ),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """Conversations, the one that started last first; an operator's own, all for a lead."""
    asked = (
        span(None, counted_since, counted_until or None) if counted_since or counted_until else span("all")
    )
    counted = Counted(figure, line, asked.since, asked.until) if figure else None
    only = None if user.role >= Role.LEAD else await services.session_manager.owned(user)
    page, following = await services.metrics.conversations(
        status=status,
        agent=agent,
        outcome=outcome,
        q=q,
        since=since,
        until=until,
        about=About(tool, error_class, approval, decided_by, channel, escalation, counted),
        only=only,
        limit=limit,
        cursor=cursor,
    )
    return answer(page, meta={"next_cursor": following})
