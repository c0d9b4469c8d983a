"""What all clients together may hold open in this process: connections, and bytes of unfinished messages."""

import resource
from collections.abc import Callable
from typing import Any

import orjson
import uvicorn

from smart_support.observability.log import get_logger
from smart_support.settings import Settings

log = get_logger()
# A message up to this size is answered with `too_large` instead of closing its socket.
MIN_MESSAGE_BYTES = 262_144
MAX_UNFINISHED_BYTES = 64_000_000
# File descriptors for databases, outgoing requests and child processes.
OTHER_DESCRIPTORS = 256
# How long the rest of a refused request or message is read and dropped, so that the client sees the refusal:
# a socket that is closed with unread data is reset.
LINGER_SECONDS = 5.0
# A client that takes no data at all is disconnected after this many times the limit for sending.
STALL_FACTOR = 3


class ConnectionLimits:
    """The limits, and what all connections of the process use of them.

    Attributes:
        connections: the number of connections that are served at the same time.
        seconds: the time for the head of a request, and for a WebSocket message.
        message_bytes: the size of a WebSocket message beyond which its socket is closed.
        unfinished_bytes: what is buffered of WebSocket messages that have not ended; beyond
            `max_unfinished_bytes`, sockets with such a message are closed.
    """

    def __init__(self, settings: Settings) -> None:
        self.connections = _within_descriptors(settings.max_connections)
        self.seconds = settings.client_timeout_seconds
        self.message_bytes = max(MIN_MESSAGE_BYTES, settings.max_frame_bytes)
        self.unfinished_bytes, self.max_unfinished_bytes = 0, MAX_UNFINISHED_BYTES
        self._idle: dict[object, Callable[[], None]] = {}

    def add_idle(self, connection: object, close: Callable[[], None]) -> None:
        """Note that a connection waits for a request, and how to close it if its place is needed."""
        self._idle[connection] = close

    def remove_idle(self, connection: object) -> None:
        """Note that a connection waits no longer, or is closed."""
        self._idle.pop(connection, None)

    def close_longest_idle(self) -> bool:
        """Close the connection that has waited longest for a request; whether there was one."""
        longest = next(iter(self._idle), None)
        if longest is None:
            return False
        self._idle.pop(longest)()
        return True


class LimitedConfig(uvicorn.Config):
    """Uvicorn's configuration, with the limits for its protocols."""

    def __init__(self, app: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(app, ws_max_size=limits.message_bytes, **options)
        self.limits = limits


def refusal(status: str, code: str, message: str) -> bytes:
    """A whole HTTP answer in the API's envelope, after which the connection ends.

    Args:
        status: code and phrase, such as `408 Request Timeout`.
    """
    body = orjson.dumps({"success": False, "data": None, "error": {"code": code, "message": message}})
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "retry-after: 5\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _within_descriptors(requested: int) -> int:
    """The number of connections that the operating system permits, at most `requested`.

    Raises the soft limit of file descriptors as far as the hard one permits and it is needed.
    """
    needed = requested + OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return requested
    permitted = max(soft - OTHER_DESCRIPTORS, soft // 2)
    log.warning("fewer_connections", requested=requested, permitted=permitted, descriptors=soft)
    return permitted
