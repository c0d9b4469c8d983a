"""Serves the app under a sub-path of a proxy, whether the proxy strips the sub-path or passes it on.

Everything behind this middleware sees paths without the sub-path. Answers that contain an address of the app
add it again: `Settings.root_path`.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class RootPathMiddleware:
    """ASGI middleware, the outermost: removes the sub-path from the path of a request."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        """`root_path`: begins with a slash and does not end with one; empty: there is no sub-path."""
        self._app = app
        self._root = root_path
        self._raw_root = root_path.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove the sub-path and pass the request on."""
        if self._root and scope["type"] in ("http", "websocket"):
            path, raw = scope["path"], scope.get("raw_path")
            if path == self._root or path.startswith(f"{self._root}/"):
                scope["path"] = path.removeprefix(self._root) or "/"
                if raw is not None:
                    scope["raw_path"] = raw.removeprefix(self._raw_root) or b"/"
        await self._app(scope, receive, send)
