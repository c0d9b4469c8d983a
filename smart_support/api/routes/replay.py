"""`/replay`: a recorded conversation, step by step, and what-if."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import orjson
from fastapi import Depends, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from smart_support.analytics.regression_export import regression_test
from smart_support.analytics.replay import LAST_SEQ
from smart_support.api import schemas
from smart_support.api.dependencies import channel, lead, services, user
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.identity.users import User
from smart_support.rehearsal import what_if as rehearsal
from smart_support.services import Services

router = rest_router(tags=["replay"])
Steps = list[dict[str, Any]]


@router.get("/replay/{thread_id}", response_model=schemas.Page[schemas.Step])
async def replay(
    thread_id: str,
    after: int = Query(
        0, ge=0, le=LAST_SEQ, description="`seq` of the last step seen, such as `next_cursor`"
    ),
    limit: int = Query(200, ge=1, le=200),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """List the steps of a conversation; `seq` is the same as on the WebSocket."""
    await services.session_manager.check_owner(thread_id, user, must_exist=True)
    steps = _with_callers(
        await services.replay.steps(thread_id, after, limit + 1), await services.actions.callers_of(thread_id)
    )
    following = steps[limit - 1]["seq"] if len(steps) > limit else None
    return answer(steps[:limit], meta={"next_cursor": following})


@router.get("/replay/{thread_id}/outline", response_model=schemas.Answer[schemas.Outline])
async def outline(
    thread_id: str,
    q: str | None = Query(
        None, max_length=200, description="also return the steps with this text in `found`"
    ),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """The conversation without its content: its length, its pages, and its notable steps."""
    await services.session_manager.check_owner(thread_id, user, must_exist=True)
    return answer(await services.replay.outline(thread_id, q))


@router.get("/replay/{thread_id}/all", response_model=schemas.Page[schemas.Step])
async def whole(
    thread_id: str, user: User = Depends(user), services: Services = Depends(services)
) -> Response:
    """All steps of the conversation in one answer, streamed."""
    await services.session_manager.check_owner(thread_id, user, must_exist=True)
    callers = await services.actions.callers_of(thread_id)
    pages = (_with_callers(steps, callers) async for steps in services.replay.batches(thread_id))
    first = await anext(pages)
    return StreamingResponse(_as_one_answer(first, pages), media_type="application/json")


def _with_callers(steps: Steps, callers: Mapping[str, Any]) -> Steps:
    """The steps, each tool call of an API client with `caller`: its name and what it said of itself."""
    return [
        step | {"caller": callers[step["tool_call_id"]]}
        if step["type"] == "tool_call" and step["tool_call_id"] in callers
        else step
        for step in steps
    ]


async def _as_one_answer(first: Steps, rest: AsyncIterator[Steps]) -> AsyncIterator[bytes]:
    """Like `answer` with a list, but without holding the whole list."""
    yield b'{"success":true,"data":[' + orjson.dumps(first)[1:-1]
    async for steps in rest:
        yield b"," + orjson.dumps(steps)[1:-1]
    yield b'],"error":null,"meta":{"next_cursor":null}}'


@router.get("/replay/{thread_id}/test", responses=schemas.file_of("text/x-python"))
async def as_test_file(
    thread_id: str,
    user: User = Depends(user),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Download the conversation as a Python test for the project's test suite."""
    await services.session_manager.check_owner(thread_id, user, must_exist=True)
    await services.audit_trail.record("test_case_exported", by=user.name, via=via, conversation=thread_id)
    steps = [step async for page in services.replay.batches(thread_id) for step in page]
    source = await asyncio.to_thread(regression_test, thread_id, steps)
    name = re.sub(r"[^a-z0-9]+", "_", thread_id.lower()).strip("_")[:60] or "conversation"
    headers = {"Content-Disposition": f'attachment; filename="test_{name}.py"'}
    return PlainTextResponse(source, 200, headers, "text/x-python; charset=utf-8")


class ChangedDecisionRequest(BaseModel):
    """The decision to try instead of the recorded one."""

    approval_id: str = Field(max_length=200)
    decision: Literal["approve", "reject", "edit"]
    reason: str | None = Field(None, max_length=2000)
    args: dict[str, Any] | None = None


@router.post(
    "/replay/{thread_id}/what-if",
    dependencies=[Depends(lead)],
    response_model=schemas.Page[schemas.Object],
)
async def what_if(
    thread_id: str, body: ChangedDecisionRequest, services: Services = Depends(services)
) -> Response:
    """Run the conversation again with another decision, in a sandbox, and compare.

    Each step has a `mark`: `same`, `then` (recorded only) or `now` (rehearsed only). Of a long conversation
    only the turns around the decision are run again: steps `first` to `last` in `meta`.
    """
    changed = rehearsal.ChangedDecision(body.approval_id, body.decision, body.reason, body.args)
    result = await rehearsal.what_if(services, thread_id, changed)
    return answer(result.steps, meta={"next_cursor": None, "first": result.first, "last": result.last})
