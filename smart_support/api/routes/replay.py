"""`/replay`: one recorded conversation, step by step."""

import re
from typing import Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field

from smart_support.analytics.replay import LAST_SEQ
from smart_support.analytics.test_case import as_test
from smart_support.api import shapes
from smart_support.api.dependencies import lead, services, user
from smart_support.api.envelope import answer
from smart_support.auth import User
from smart_support.conversation.what_if import Changed

router = APIRouter(tags=["replay"])
MOST = 5_000  # steps of a conversation that becomes a test


@router.get("/replay/{thread_id}", response_model=shapes.Page[shapes.Step])
async def replay(
    thread_id: str,
    after: int = Query(0, ge=0, le=LAST_SEQ, description="`seq` of the last step seen; `next_cursor` is one"),
    limit: int = Query(200, ge=1, le=200),
    user: User = Depends(user),
    services: Any = Depends(services),
) -> Response:
    """The conversation's steps, numbered as its events on the socket."""
    await services.session_manager.check_theirs(thread_id, user, begun=True)
    steps = await services.replay.steps(thread_id, after, limit + 1)
    following = steps[limit - 1]["seq"] if len(steps) > limit else None
    return answer(steps[:limit], meta={"next_cursor": following})


@router.get("/replay/{thread_id}/test", responses=shapes.file_of("text/x-python"))
async def as_test_file(
    thread_id: str, user: User = Depends(user), services: Any = Depends(services)
) -> Response:
    """The conversation as a test of the project's own suite: a Python file to download."""
    await services.session_manager.check_theirs(thread_id, user, begun=True)
    source = as_test(thread_id, await services.replay.steps(thread_id, limit=MOST))
    name = re.sub(r"[^a-z0-9]+", "_", thread_id.lower()).strip("_")[:60] or "conversation"
    headers = {"Content-Disposition": f'attachment; filename="test_{name}.py"'}
    return PlainTextResponse(source, 200, headers, "text/x-python; charset=utf-8")


class AnotherDecision(BaseModel):
    """What to try instead of what was decided."""

    approval_id: str = Field(max_length=200)
    decision: Literal["approve", "reject", "edit"]
    reason: str | None = Field(None, max_length=2000)
    args: dict[str, Any] | None = None


@router.post(
    "/replay/{thread_id}/what-if",
    dependencies=[Depends(lead)],
    response_model=shapes.Page[shapes.Object],
)
async def what_if(thread_id: str, other: AnotherDecision, services: Any = Depends(services)) -> Response:
    """How it would have gone: the steps, each `same`, only `then` or only `now`. Nothing real is touched."""
    changed = Changed(other.approval_id, other.decision, other.reason, other.args)
    return answer(await services.what_if(thread_id, changed))
