"""Uvicorn's HTTP protocol, with limits for clients that send slowly, send no end, or take no answer.

The rules for slow clients are those of Apache's `mod_reqtimeout`: a head has to arrive within a time; a body
gets more time the more of it arrives. Time in which this side does not read does not count.
"""

import asyncio
from functools import partial
from typing import Any, Literal

from smart_support.api.envelope import failure
from smart_support.server.connection_limits import LINGER_SECONDS, STALL_FACTOR, LimitedConfig, refusal
from smart_support.server.write_coalescing import CoalescingProtocol

# The head of a request; also the trailers and chunk extensions between two pieces of a body.
MAX_HEAD_BYTES = 65_536
# Each of these gives a body one more second.
BODY_BYTES_PER_SECOND = 500
_HEALTH = "/api/v1/health"


class LimitedHttpProtocol(CoalescingProtocol):
    """One HTTP connection."""

    def __init__(self, config: LimitedConfig, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._limits = config.limits
        # What the client has to send next; None while it waits for an answer.
        self._awaited: Literal["head", "body"] | None = "head"
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._received = 0
        # Bytes since the last piece of a body, or since the last request.
        self._unparsed = 0
        self._is_surplus = False
        self._is_refused = False

    def connection_made(self, transport: Any) -> None:
        """Take the connection; if there are too many, close an idle one, or serve only `/health` here."""
        super().connection_made(transport)
        self.transport.stall_seconds = STALL_FACTOR * self._limits.seconds
        if len(self.connections) > self._limits.connections:
            self._is_surplus = not self._limits.close_longest_idle()
        self._await_head()
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timers."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, and start or stop the clock for what is missing."""
        if self._is_refused:
            return
        self._received += len(data)
        self._unparsed += len(data)
        super().data_received(data)
        if self._awaited and self._unparsed > MAX_HEAD_BYTES:
            what = f"The head of the request is too large: more than {MAX_HEAD_BYTES} bytes."
            self._refuse("431 Request Header Fields Too Large", "too_large", what)
        elif self._awaited and not self.transport.is_closing():
            self._start_clock()

    def pause_writing(self) -> None:
        """Stop sending until the client has taken some data; disconnect it if it takes none."""
        super().pause_writing()
        self.transport.detect_stall()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self._awaited is None:
            self._awaited = "head"

    def on_headers_complete(self) -> None:
        """The head of a request is complete."""
        self._expect("body")
        if self._is_surplus:
            self._is_surplus = len(self.connections) > self._limits.connections
        whole = self.config.loaded_app
        self.app = partial(_serve_health_only, whole) if self._is_surplus else whole
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._expect(None)
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._await_head()

    def on_response_complete(self) -> None:
        """An answer is complete."""
        super().on_response_complete()
        if self._awaited is None and not self.pipeline:
            self._await_head()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._expect(None)
        if self._is_surplus:
            self._refuse("503 Service Unavailable", "overloaded", _TOO_MANY)
        else:
            super().handle_websocket_upgrade()

    def _await_head(self) -> None:
        self._expect("head")
        self._limits.add_idle(self, self.transport.close)

    def _expect(self, awaited: Literal["head", "body"] | None) -> None:
        self._stop_clock()
        self._awaited = awaited
        self._received = self._unparsed = 0

    def _start_clock(self) -> None:
        if self._timer is None:
            self._since = self.loop.time()
            self._timer = self.loop.call_later(self._limits.seconds, self._check)

    def _stop_clock(self) -> None:
        self._limits.remove_idle(self)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Disconnect the client if its time is over."""
        self._timer = None
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or (is_answering and self._awaited == "head"):
            self._start_clock()
            return
        seconds = self._limits.seconds
        if self._awaited == "body":
            seconds += self._received / BODY_BYTES_PER_SECOND
        left = self._since + seconds - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._check)
            return
        what = f"The {self._awaited} of the request did not arrive in time; the limit is {seconds:g} s."
        self._refuse("408 Request Timeout", "request_timeout", what)

    def _refuse(self, status: str, code: str, message: str) -> None:
        """Answer with an error unless an answer has begun, drop what the client still sends, and close."""
        self._stop_clock()
        if self.transport.is_closing():
            return
        is_answered = self._awaited == "body" and self.cycle is not None and self.cycle.response_started
        is_silent = self._awaited == "head" and not self._received
        if is_answered or is_silent:
            self.transport.close()
            return
        self._is_refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write(refusal(status, code, message))
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


_TOO_MANY = "Too many connections are open. Only /api/v1/health is served; try again later."


async def _serve_health_only(app: Any, scope: Any, receive: Any, send: Any) -> None:
    if scope["path"].endswith(_HEALTH):
        await app(scope, receive, send)
    else:
        headers = {"Retry-After": "5", "Connection": "close"}
        await failure("overloaded", _TOO_MANY, 503, headers)(scope, receive, send)
