"""What is sent in one moment leaves in one write; each frame and each event stays one of its own.

Writing to a socket costs more CPU than all else that we do for a token, however little is written.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# How long at most what is sent without a pause waits for what follows.
GATHER_SECONDS = 0.002
MOST_BYTES = 32_768


class GatheringTransport:
    """A transport that writes when a round of the event loop has brought nothing more."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._kept: list[bytes] = []
        self._bytes = 0
        self._until = 0.0

    def __getattr__(self, name: str) -> Any:
        """All but what is here is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, soon."""
        if not self._kept:
            self._until = self._loop.time() + GATHER_SECONDS
            self._loop.call_soon(self._look, 0)
        self._kept.append(data)
        self._bytes += len(data)
        if self._bytes >= MOST_BYTES:
            # Now, so that the transport can say that its client does not keep up.
            self._write_kept()

    def close(self) -> None:
        """Close once all is sent."""
        self._write_kept()
        self._transport.close()

    def _look(self, before: int) -> None:
        if len(self._kept) > before and self._loop.time() < self._until:
            self._loop.call_soon(self._look, len(self._kept))
        else:
            self._write_kept()

    def _write_kept(self) -> None:
        kept, self._kept, self._bytes = self._kept, [], 0
        if kept and not self._transport.is_closing():
            self._transport.write(b"".join(kept))


class GatheringProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP, and the sockets that it hands its transport on to."""

    def connection_made(self, transport: Any) -> None:
        """Take a connection."""
        super().connection_made(GatheringTransport(transport))  # type: ignore[arg-type]
