"""How large a request's body may be, for every route alike; what is in it is read further in."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1_000_000
_IMPORT = "/api/v1/openapi/import"


class BodyLimit:
    """ASGI middleware that stops reading a body that is too large, and has it answered with 413."""

    def __init__(self, app: ASGIApp, *, import_bytes: int) -> None:
        """`import_bytes`: what an imported description may have, which is more than all else needs."""
        self._app = app
        self._import_bytes = import_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The import tells by itself, with better words; what a form wraps around a file comes on top.
        most = 2 * self._import_bytes if scope["path"] == _IMPORT else MAX_BODY_BYTES
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, f"The body is too large: more than {most} bytes.")
            return message

        await self._app(scope, limited, send)
