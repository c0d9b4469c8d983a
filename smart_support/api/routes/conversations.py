"""`/conversations`: lists recorded conversations."""

from typing import Literal

from fastapi import Depends, Query
from fastapi.responses import Response

from smart_support.analytics.filters import SELECTABLE_FIGURES, ConversationFilter, FigureSelection
from smart_support.analytics.time_range import parse_range
from smart_support.api import schemas
from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.events import EscalationKind, Outcome
from smart_support.identity.users import Role, User
from smart_support.services import Services

router = rest_router(tags=["conversations"])


@router.get("/conversations", response_model=schemas.Page[schemas.Conversation])
async def list_conversations(
    status: Literal["active", "waiting", "ended"] | None = None,
    agent: str | None = Query(None, max_length=128, description="only conversations with this agent"),
    outcome: list[Literal["resolved", "resolved_with_approval", "escalated", "rejected", "abandoned"]]
    | None = Query(None, description="repeat it for any of several"),
    q: str | None = Query(None, max_length=200, description="text in a message, thread id or customer id"),
    since: str | None = Query(
        None,
        max_length=64,
        description="started at or after: RFC 3339",
        json_schema_extra=schemas.TIMESTAMP,
    ),
    until: str | None = Query(
        None,
        max_length=64,
        description="started before: RFC 3339",
        json_schema_extra=schemas.TIMESTAMP,
    ),
    tool: str | None = Query(None, max_length=128, description="only those with a call of this tool"),
    error_class: Literal["transient", "validation", "auth", "unknown"] | None = Query(
        None, description="only those in which a tool, or `tool`, failed this way"
    ),
    approval: Outcome | Literal["asked", "pending", "by_policy"] | None = Query(
        None,
        description="only those with such an approval; `asked` is any, `by_policy` a write without",
    ),
    decided_by: str | None = Query(
        None, max_length=128, description="only those with a decision by this person"
    ),
    escalation: EscalationKind | None = Query(None, description="only those with an escalation of this kind"),
    channel: Literal["socket", "rest", "gradio", "console", "system"] | None = None,
    figure: Literal[SELECTABLE_FIGURES] | None = Query(  # type: ignore[valid-type]
        None, description="only those that this figure counts, whenever they started"
    ),
    line: str | None = Query(
        None, max_length=128, description="one line of `figure`: an agent, a tool, an outcome, a lead"
    ),
    counted_since: str | None = Query(
        None,
        max_length=64,
        description="of `figure`: counted from then on; RFC 3339",
        json_schema_extra=schemas.TIMESTAMP,
    ),
    counted_until: str | None = Query(
        None,
        max_length=64,
        description="of `figure`: counted before then; RFC 3339",
        json_schema_extra=schemas.TIMESTAMP,
    ),
    limit: int = Query(50, ge=1, le=100),
    cursor: str | None = Query(
        None, max_length=512, pattern="^[A-Za-z0-9_-]+$", description="`next_cursor` of the previous page"
    ),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """List conversations, the newest first; operators see their own, leads see all."""
    is_limited = counted_since or counted_until
    period = parse_range(None, counted_since, counted_until or None) if is_limited else parse_range("all")
    counted = FigureSelection(figure, line, period.since, period.until) if figure else None
    only = None if user.role >= Role.LEAD else await services.session_manager.owned(user)
    page, following = await services.metrics.conversations(
        status=status,
        agent=agent,
        outcome=outcome,
        q=q,
        since=since,
        until=until,
        about=ConversationFilter(tool, error_class, approval, decided_by, channel, escalation, counted),
        only=only,
        limit=limit,
        cursor=cursor,
    )
    holders = await services.session_manager.holders([one["thread_id"] for one in page])
    for one in page:
        one["taken_by"] = holders.get(one["thread_id"])
    return answer(page, meta={"next_cursor": following})
