"""Events as server-sent events (HTML standard, `text/event-stream`)."""

from collections.abc import AsyncIterator

import orjson
from fastapi.responses import Response, StreamingResponse

from smart_support.errors import SmartSupportError
from smart_support.events import UNRECORDED, Shown

MEDIA_TYPE = "text/event-stream"


async def event_stream(events: AsyncIterator[list[Shown]]) -> Response:
    """Stream events as they happen, those of a list in one piece.

    An error before the first one is raised, and so has its own status.
    """
    first = await anext(events)
    return StreamingResponse(_frames(first, events), media_type=MEDIA_TYPE)


async def _frames(first: list[Shown], events: AsyncIterator[list[Shown]]) -> AsyncIterator[str]:
    yield "".join(map(_frame, first))
    try:
        async for several in events:
            yield "".join(map(_frame, several))
    except SmartSupportError as error:
        # The status was already sent, so the error becomes an event.
        data = orjson.dumps({"type": "error", "code": error.code, "message": error.message}).decode()
        yield f"event: error\ndata: {data}\n\n"


def _frame(shown: Shown) -> str:
    place = "" if shown.seq == UNRECORDED else f"id: {shown.seq}\n"
    return f"{place}event: {shown.event.type}\ndata: {shown.wire()}\n\n"
