"""A server in front of another one on this machine, as a slow network or one that passes nothing on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class TcpProxy:
    """Passes all on to a port of this machine, each piece after a delay, while it is not paused.

    Attributes:
        port: its own.
        delay: in seconds; none at first.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        self._target = target
        self._passing = asyncio.Event()
        self._passing.set()

    def pause(self) -> None:
        """Pass nothing on from now on; connections stay open."""
        self._passing.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        answers, requests = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pass_on(reader, requests), self._pass_on(answers, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def tcp_proxy(target: int) -> AsyncIterator[TcpProxy]:
    """A proxy on a free port, until the context ends."""
    proxy = TcpProxy(target)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
        server.close()
