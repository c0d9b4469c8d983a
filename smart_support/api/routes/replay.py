"""`/replay`: one recorded conversation, step by step."""

from typing import Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer
from smart_support.auth import User

router = APIRouter(tags=["replay"])


@router.get("/replay/{thread_id}")
async def replay(
    thread_id: str,
    after: int = Query(0, ge=0, lt=2**63, description="`seq` of the last step seen; `next_cursor` is one"),
    limit: int = Query(200, ge=1, le=200),
    user: User = Depends(user),
    services: Any = Depends(services),
) -> Response:
    """The conversation's steps, numbered as its events on the socket."""
    await services.session_manager.check_theirs(thread_id, user)
    steps = await services.replay.steps(thread_id, after, limit + 1)
    following = steps[limit - 1]["seq"] if len(steps) > limit else None
    return answer(steps[:limit], meta={"next_cursor": following})
