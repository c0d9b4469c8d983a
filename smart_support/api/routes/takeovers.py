"""`/conversations/{thread_id}/...`: people take conversations over, answer, note, and hand them back."""

from typing import Annotated, Any

from fastapi import Depends, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field

from smart_support.api import schemas
from smart_support.api.dependencies import channel, lead, services
from smart_support.api.envelope import answer
from smart_support.api.rest_router import rest_router
from smart_support.conversation.sessions import Session
from smart_support.conversation.takeovers import MAX_NOTE_CHARS, Note
from smart_support.identity.users import User
from smart_support.services import Services

router = rest_router("/conversations/{thread_id}", tags=["conversations"], dependencies=[Depends(lead)])

ThreadId = Annotated[str, Path(json_schema_extra=schemas.THREAD_ID)]

_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class ReleaseRequest(BaseModel):
    """How a conversation is handed back."""

    note: str | None = Field(None, max_length=MAX_NOTE_CHARS, description="what the agents should know")


class MessageRequest(BaseModel):
    """What a person answers."""

    content: str = Field(description="the answer", json_schema_extra=schemas.text(10_000))
    message_id: str | None = Field(
        None,
        pattern=_UUID,
        description="a UUID of your own; a message that is sent again with it is recorded once",
    )


class NoteRequest(BaseModel):
    """A note for colleagues."""

    content: str = Field(description="1 to 2,000 characters", json_schema_extra=schemas.text(MAX_NOTE_CHARS))
    note_id: str | None = Field(
        None,
        pattern=_UUID,
        description="a UUID of your own; a note that is sent again with it is kept once",
    )


@router.post("/takeover", response_model=schemas.Answer[schemas.Holder])
async def take_over(
    thread_id: ThreadId,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Take a conversation over. The agents stop at their next step; cards that wait stay.

    Fails with `taken_over` where somebody else has it.
    """
    return answer(_holder(await services.takeovers.take_over(thread_id, by=user.name, via=via)))


@router.post("/release", response_model=schemas.Answer[schemas.Holder])
async def release(
    thread_id: ThreadId,
    body: ReleaseRequest | None = None,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Hand a conversation back to the agents, which read the note and answer what has no answer yet."""
    note = body.note if body else None
    return answer(_holder(await services.takeovers.release(thread_id, by=user.name, via=via, note=note)))


@router.post("/messages", response_model=schemas.Answer[schemas.Sent])
async def send(
    thread_id: ThreadId,
    body: MessageRequest,
    user: User = Depends(lead),
    via: str = Depends(channel),
    services: Services = Depends(services),
) -> Response:
    """Answer the customer as a person. Answers once the message is durable."""
    message_id = await services.takeovers.answer(
        thread_id, body.content, by=user.name, via=via, message_id=body.message_id
    )
    return answer({"thread_id": thread_id, "message_id": message_id})


@router.get("/notes", response_model=schemas.Page[Note])
async def list_notes(thread_id: ThreadId, services: Services = Depends(services)) -> Response:
    """The notes that colleagues left, the oldest first. The customer and the agents never see them."""
    return answer([note.wire() for note in await services.takeovers.notes(thread_id)])


@router.post("/notes", response_model=schemas.Answer[Note])
async def add_note(
    thread_id: ThreadId,
    body: NoteRequest,
    user: User = Depends(lead),
    services: Services = Depends(services),
) -> Response:
    """Leave a note for colleagues."""
    note = await services.takeovers.note(thread_id, body.content, by=user.name, note_id=body.note_id)
    return answer(note.wire())


def _holder(session: Session) -> dict[str, Any]:
    return {"thread_id": session.thread_id, "taken_by": session.taken_by, "taken_at": session.taken_at}
