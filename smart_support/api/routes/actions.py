"""`/actions`: tool calls that API clients request themselves; a write waits for its approval."""

from typing import Any

from fastapi import Depends, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.actions.action import (
    KEY_PATTERN,
    MAX_CLIENT_CHARS,
    MAX_REASON_CHARS,
    Action,
    ActionRequest,
    Client,
)
from smart_support.api import schemas
from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer, failure
from smart_support.api.event_stream import MEDIA_TYPE, event_stream
from smart_support.api.rest_router import rest_router
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/actions", tags=["actions"])
MAX_WAIT_SECONDS = 60


class ActionBody(BaseModel):
    """A tool call."""

    tool: str = Field(max_length=100)
    args: dict[str, Any] = Field(default_factory=dict)
    thread_id: str | None = Field(
        None,
        description="what the call belongs to; a new thread starts if it is left out",
        json_schema_extra=schemas.THREAD_ID,
    )
    idempotency_key: str | None = Field(
        None,
        pattern=KEY_PATTERN,
        description="a key of your own for this call; a repetition with it joins the action for 24 hours",
    )
    reason: str | None = Field(
        None, max_length=MAX_REASON_CHARS, description="why you request it, for the person who decides"
    )
    customer_token: str | None = Field(
        None, max_length=8000, description="a token that vouches for the customer whom the call is for"
    )


@router.post(
    "",
    response_model=schemas.Answer[schemas.Action],
    responses={202: {"model": schemas.Answer[schemas.Action]}},
)
async def request_action(
    body: ActionBody,
    user_agent: str | None = Header(None),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """Request a tool call.

    Answers 200 with a settled action, and 202 with one that waits for a decision or still runs. A write that
    is repeated joins the action that there is. Fails with 403 where the policy forbids it.
    """
    client = Client(
        client_name=user_agent[:MAX_CLIENT_CHARS] if user_agent else None, reason=body.reason or None
    )
    request = ActionRequest(
        tool=body.tool,
        args=body.args,
        channel="rest",
        client=client,
        thread_id=body.thread_id,
        idempotency_key=body.idempotency_key,
        customer_token=body.customer_token,
    )
    action = await services.actions.request(user, request)
    if action.is_forbidden:
        fields = {"action_id": action.action_id}
        return failure("forbidden", action.message or "the policy forbids this", 403, fields=fields)
    return _answer(action)


@router.get(
    "/{action_id}",
    response_model=schemas.Answer[schemas.Action],
    responses=schemas.file_of("text/event-stream"),
)
async def get_action(
    action_id: str,
    wait: float = Query(
        0, ge=0, le=MAX_WAIT_SECONDS, description="seconds to wait until the action is settled"
    ),
    accept: str = Header(""),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """Get an action of yours.

    With `wait`, answers as soon as it is settled. With `Accept: text/event-stream`, its events are sent as
    they happen, from its request on.
    """
    if MEDIA_TYPE in accept:
        return await event_stream([event] async for event in services.actions.events(user, action_id))
    return answer((await services.actions.get(user, action_id, wait)).wire())


def _answer(action: Action) -> Response:
    return answer(action.wire(), status=200 if action.is_settled else 202)
