"""`POST /chat`: runs a turn and answers with its outcome, or streams its events."""

from fastapi import Depends, Header
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support import clock
from smart_support.api import schemas
from smart_support.api.dependencies import services, user
from smart_support.api.envelope import answer, failure
from smart_support.api.event_stream import MEDIA_TYPE, event_stream
from smart_support.api.rest_router import rest_router
from smart_support.conversation.limits import checked_thread_id
from smart_support.conversation.response import Reply
from smart_support.errors import Overloaded
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router(tags=["chat"])


class ChatRequest(BaseModel):
    """A message of a customer."""

    message: str = Field(
        description="1 to 10,000 characters, not only white space",
        json_schema_extra=schemas.text(10_000),
    )
    thread_id: str | None = Field(
        None,
        description="the conversation; a new one starts if it is left out",
        json_schema_extra=schemas.THREAD_ID,
    )
    customer_token: str | None = Field(
        None, description="who the customer is, as a JWT that your website has signed; see docs/customers.md"
    )


@router.post(
    "/chat", response_model=schemas.Answer[schemas.Reply], responses=schemas.file_of("text/event-stream")
)
async def chat(
    body: ChatRequest,
    accept: str = Header(""),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """Send a message to a conversation.

    Answers when the turn has ended or waits for an approval. With `Accept: text/event-stream`, each event of
    the turn is sent as it happens.
    """
    thread_id = checked_thread_id(body.thread_id) if body.thread_id is not None else clock.new_id()
    customer = services.customer_tokens.verified(body.customer_token, thread_id)
    events = services.turns.submit_and_follow_in_lists(
        thread_id, body.message, channel="rest", by=user, customer=customer
    )
    if MEDIA_TYPE in accept:
        return await event_stream(events)
    reply = Reply(thread_id)
    async for several in events:
        for shown in several:
            reply.add(shown)
    if reply.error and reply.error["code"] == Overloaded.code:
        raise Overloaded
    if reply.error:
        return failure(reply.error["code"], reply.error["message"], 502)
    approval = await services.approvals.get(reply.approval_id) if reply.approval_id else None
    return answer(reply.as_dict(approval.wire() if approval else None))
