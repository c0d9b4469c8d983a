"""Uvicorn's WebSocket protocol, with limits for messages that do not end and clients that take no data."""

import asyncio
import contextlib
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from smart_support.api.websocket import TEXTS
from smart_support.server.connection_limits import LINGER_SECONDS, LimitedConfig

POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013


class LimitedWebSocketProtocol(WebSocketsSansIOProtocol):
    """One socket. `LimitedHttpProtocol` has read its handshake, within the limits for a request."""

    transport: Any

    def __init__(self, config: LimitedConfig, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._limits = config.limits
        self._unfinished = 0
        self._timer: asyncio.TimerHandle | None = None
        self._has_failed = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the timer, and return the share of the buffered bytes."""
        self.frames = []
        self._count(0)
        self.transport.end_stall_detection()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, and start or stop the clock for a message that has not ended."""
        if self._has_failed or self.transport.is_closing():
            return  # what the client still sends is dropped
        super().data_received(data)
        self._count(0 if self._has_failed else len(self.conn.reader.buffer) + sum(map(len, self.frames)))
        if self._unfinished and self._limits.unfinished_bytes > self._limits.max_unfinished_bytes:
            self._fail(TRY_AGAIN_LATER, "too many unfinished messages")
        if not self.writable.is_set():
            self._pause_reading()

    def handle_connect(self, event: Request) -> None:
        """The handshake. The app is told that it may send several messages in one go."""
        super().handle_connect(event)
        if self.tasks:  # the handshake is accepted
            self.scope["extensions"][TEXTS] = {}

    async def send(self, message: Any) -> None:
        """Send a message, and before it those in `TEXTS`, each in a frame of its own."""
        if texts := message.get(TEXTS):
            await self.writable.wait()
            with contextlib.suppress(InvalidState):  # closed: what follows says so
                for text in texts:
                    self.conn.send_text(text.encode())
        await super().send(message)

    def handle_text(self, event: Frame) -> None:
        """The first frame of a text message."""
        super().handle_text(_growing(event))

    def handle_bytes(self, event: Frame) -> None:
        """The first frame of a binary message."""
        super().handle_bytes(_growing(event))

    def handle_cont(self, event: Frame) -> None:
        """A further frame: added to one buffer, because a list of tiny frames takes far more memory."""
        self.frames[0] += event.data
        if event.fin:
            self.frames[0] = bytes(self.frames[0])
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """A message has ended."""
        super().send_receive_event_to_app()
        self._count(0)

    def handle_ping(self) -> None:
        """Answer a ping."""
        super().handle_ping()
        if not self.frames:
            self._count(0)

    def handle_parser_exception(self) -> None:
        """Close because of what the client sent; read on for a while, so that the client sees the reason."""
        self._has_failed = True
        self.frames = []
        if self.conn.close_sent is None:  # before the handshake was answered
            self.transport.close()
            return
        code, reason = self.conn.close_sent.code, self.conn.close_sent.reason
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = True
        self.stop_keepalive()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        if self.writable.is_set():
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Stop sending and reading until the client has taken some data; disconnect it if it takes none."""
        super().pause_writing()
        self.transport.detect_stall()
        # Each ping that is read adds a pong to what waits to be sent.
        self._pause_reading()

    def resume_writing(self) -> None:
        """Continue."""
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """The next message, once the client has taken what was sent to it."""
        await self.writable.wait()
        return await super().receive()

    def _pause_reading(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _count(self, unfinished: int) -> None:
        """Note how many bytes of an unfinished message are buffered; its time begins with the first one."""
        self._limits.unfinished_bytes += unfinished - self._unfinished
        self._unfinished = unfinished
        is_unfinished = unfinished > 0 or bool(self.frames)
        if self._timer and not is_unfinished:
            self._timer.cancel()
            self._timer = None
        elif not self._timer and is_unfinished:
            self._timer = self.loop.call_later(self._limits.seconds, self._check)

    def _check(self) -> None:
        """Close the socket, because its message did not end in time."""
        self._timer = None
        if self.read_paused or not self.writable.is_set():
            self._timer = self.loop.call_later(self._limits.seconds, self._check)
        else:
            self._fail(POLICY_VIOLATION, f"a message has to end within {self._limits.seconds:g} s")

    def _fail(self, code: int, reason: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(code, reason)
        self.handle_parser_exception()
        self._count(0)


def _growing(event: Frame) -> Frame:
    """The frame, with data to which continuations can be added unless it is complete."""
    return event if event.fin else Frame(event.opcode, bytearray(event.data), event.fin)
