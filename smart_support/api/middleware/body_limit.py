"""Limits the size of request bodies."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1_000_000
_IMPORT = "/api/v1/openapi/import"


class BodyLimitMiddleware:
    """ASGI middleware that stops reading a body that is too large and answers 413."""

    def __init__(self, app: ASGIApp, *, import_bytes: int) -> None:
        """`import_bytes`: the maximum size of an imported API description."""
        self._app = app
        self._import_bytes = import_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of the body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The import has its own check with a better message; a form adds some bytes to its file.
        limit = 2 * self._import_bytes if scope["path"] == _IMPORT else MAX_BODY_BYTES
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, f"The body is too large: more than {limit} bytes.")
            return message

        await self._app(scope, limited, send)
