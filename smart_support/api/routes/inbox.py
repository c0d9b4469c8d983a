"""`/inbox`: conversations by what they need of a person, and what is known of their customers."""

from typing import Annotated

from fastapi import Depends, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.analytics.replay import LAST_SEQ
from smart_support.api import schemas
from smart_support.api.dependencies import lead, services, user
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.conversation.inbox import InboxFilter
from smart_support.errors import NotFound
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router(tags=["inbox"])
ThreadId = Annotated[str, Path(json_schema_extra=schemas.THREAD_ID)]


class SeenRequest(BaseModel):
    """How far a person has seen a conversation."""

    seq: int = Field(ge=0, le=LAST_SEQ, description="the number of the last event that was shown")


@router.get("/inbox", response_model=schemas.InboxPage)
async def list_inbox(
    filter: InboxFilter = Query("all", description="`all`: every conversation that has not ended"),
    q: str | None = Query(None, max_length=200, description="text in a message, thread id or customer id"),
    limit: int = Query(50, ge=1, le=100),
    cursor: str | None = Query(
        None, max_length=512, pattern="^[A-Za-z0-9_-]+$", description="`next_cursor` of the previous page"
    ),
    user: User = Depends(user),
    services: Services = Depends(services),
) -> Response:
    """List conversations, the latest activity first; operators see their own, leads see all.

    With `q` the newest conversation comes first, and `all` has those that have ended, too.
    """
    page, following = await services.inbox.page(user, filter, q=q, limit=limit, cursor=cursor)
    meta = {"next_cursor": following, "counts": await services.inbox.counts(user)}
    return answer(page, meta=meta)


@router.get("/inbox/{thread_id}", response_model=schemas.Answer[schemas.InboxItem])
async def one_conversation(
    thread_id: ThreadId, user: User = Depends(user), services: Services = Depends(services)
) -> Response:
    """One conversation as in the list."""
    await services.session_manager.check_owner(thread_id, user, must_exist=True)
    return answer(await services.inbox.item(thread_id))


@router.post(
    "/inbox/{thread_id}/seen",
    dependencies=[Depends(lead)],
    response_model=schemas.Answer[schemas.InboxItem],
)
async def seen(thread_id: ThreadId, body: SeenRequest, services: Services = Depends(services)) -> Response:
    """Note that a person has seen a conversation up to a number, so that it is not unread."""
    await services.inbox.seen(thread_id, body.seq)
    return answer(await services.inbox.item(thread_id))


@router.get(
    "/inbox/{thread_id}/customer",
    dependencies=[Depends(lead)],
    response_model=schemas.Answer[schemas.InboxCustomer],
)
async def customer(thread_id: ThreadId, services: Services = Depends(services)) -> Response:
    """What is on record of a conversation's customer: pending approvals, other conversations, notes."""
    inbox = services.inbox
    item = await inbox.item(thread_id)
    customer_id = item["customer_id"]
    return answer(
        {
            "thread_id": thread_id,
            "customer": item["customer"],
            "has_card": bool(customer_id) and services.customer_cards.is_available,
            "approvals": [one.wire() for one in await inbox.open_approvals(thread_id, customer_id)],
            "earlier": await inbox.earlier(thread_id, customer_id),
            "notes": [note.wire() for note in await inbox.customer_notes(thread_id, customer_id)],
        }
    )


@router.get(
    "/inbox/{thread_id}/customer/card",
    dependencies=[Depends(lead)],
    response_model=schemas.Answer[schemas.CustomerCard],
)
async def customer_card(thread_id: ThreadId, services: Services = Depends(services)) -> Response:
    """What the customer has, read now with the tool that the agents file names as `customer_card`."""
    customer_id = (await services.inbox.item(thread_id))["customer_id"]
    if customer_id is None:
        raise NotFound("It is not known who the customer of this conversation is.")
    return answer(await services.customer_cards.read(customer_id, thread_id))
