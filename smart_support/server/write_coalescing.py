"""Joins writes to a socket that follow each other closely into one system call.

A system call costs more CPU than everything else that is done for a token. Frames and events stay separate.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The longest delay of data that is sent without a pause.
MAX_DELAY_SECONDS = 0.002
MAX_BUFFER_BYTES = 32_768


class CoalescingTransport:
    """A transport that writes once an iteration of the event loop adds no more data.

    Attributes:
        stall_seconds: how long a client may take no data before `detect_stall` disconnects it.
    """

    stall_seconds = 60.0

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._buffer: list[bytes] = []
        self._bytes = 0
        self._deadline = 0.0
        self._stall_timer: asyncio.TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        """Delegate to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Buffer `data` and send it soon."""
        if not self._buffer:
            self._deadline = self._loop.time() + MAX_DELAY_SECONDS
            self._loop.call_soon(self._flush_if_idle, 0)
        self._buffer.append(data)
        self._bytes += len(data)
        if self._bytes >= MAX_BUFFER_BYTES:
            # At once, so that the transport can signal back-pressure.
            self._flush()

    def write_eof(self) -> None:
        """Send the buffer, then the end of the data."""
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Send the buffer, then close."""
        self._flush()
        self._transport.close()
        self.detect_stall()

    def detect_stall(self) -> None:
        """Disconnect the client if it takes no data; otherwise a full buffer would be kept for ever."""
        if (unsent := self._transport.get_write_buffer_size()) and not self._stall_timer:
            self._stall_timer = self._loop.call_later(self.stall_seconds, self._check_for_stall, unsent)

    def end_stall_detection(self) -> None:
        """End the detection, because the connection is lost."""
        if self._stall_timer:
            self._stall_timer.cancel()

    def _check_for_stall(self, before: int) -> None:
        self._stall_timer = None
        if self._transport.get_write_buffer_size() >= before:
            self._transport.abort()
        else:
            self.detect_stall()

    def _flush_if_idle(self, before: int) -> None:
        if len(self._buffer) > before and self._loop.time() < self._deadline:
            self._loop.call_soon(self._flush_if_idle, len(self._buffer))
        else:
            self._flush()

    def _flush(self) -> None:
        data, self._buffer, self._bytes = self._buffer, [], 0
        if data and not self._transport.is_closing():
            self._transport.write(b"".join(data))


class CoalescingProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol over a coalescing transport; WebSockets take it over from there."""

    transport: Any

    def connection_made(self, transport: Any) -> None:
        """Wrap the transport of a new connection."""
        super().connection_made(CoalescingTransport(transport))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        """End the detection of a stall."""
        self.transport.end_stall_detection()
        super().connection_lost(exc)
