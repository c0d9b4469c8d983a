"""A small ASGI app behind the real protocols, on a real port, with limits of the test's choice."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from smart_support import Settings
from smart_support.api.websocket import TEXTS
from smart_support.server.connection_limits import ConnectionLimits, LimitedConfig
from smart_support.server.http_protocol import LimitedHttpProtocol
from smart_support.server.websocket_protocol import LimitedWebSocketProtocol
from tests.support.harness import free_port

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Served:
    """The app. `/wait` answers once `release` is called; any other path with the size of its body.

    A socket answers each message with its length; `several`, in one go, with three messages.
    """

    def __init__(self, **settings: Any) -> None:
        self.limits = ConnectionLimits(Settings(**{"client_timeout_seconds": 0.3} | settings))
        self.port = free_port()
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self.disconnects = 0
        self._released = threading.Event()
        config = LimitedConfig(
            self._app,
            self.limits,
            port=self.port,
            loop="uvloop",
            http=LimitedHttpProtocol,
            ws=LimitedWebSocketProtocol,
            ws_per_message_deflate=False,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        self.server = uvicorn.Server(config)

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A connection that has sent some bytes."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        client.sendall(sent)
        return client

    def release(self) -> None:
        """Let `/wait` answer."""
        self._released.set()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                size = len(message.get("text") or message.get("bytes") or b"")
                answer = {"type": "websocket.send", "text": str(size)}
                if message.get("text") == "several":
                    assert TEXTS in scope["extensions"]
                    answer |= {TEXTS: ["one", "two"]}
                await send(answer)
            return
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if scope["path"] == "/wait":
            await asyncio.to_thread(self._released.wait)
        body = b"x" * 20_000_000 if scope["path"] == "/large" else str(size).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """Serve from a thread until the context ends."""
    one = Served(**settings)
    thread = threading.Thread(target=one.server.run, daemon=True)
    thread.start()
    while not one.server.started:
        threading.Event().wait(0.005)  # uvicorn has no event to await
    yield one
    one.release()
    one.server.should_exit = True
    thread.join(60)


def rest_of(client: socket.socket) -> bytes:
    """Everything that comes until the server closes the connection."""
    received = b""
    while chunk := client.recv(65_536):
        received += chunk
    return received


def answer_on(client: socket.socket) -> bytes:
    """One answer with a short body."""
    return client.recv(65_536)
