"""Writes that are gathered: all bytes arrive, in order, none late, and few writes carry many frames."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.server.write_coalescing import MAX_BUFFER_BYTES, MAX_DELAY_SECONDS, CoalescingTransport


class _Spied:
    """A transport that counts what reaches it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.written: list[bytes] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self._transport.write(data)


@asynccontextmanager
async def _connected() -> AsyncIterator[tuple[CoalescingTransport, _Spied, asyncio.StreamReader]]:
    """A coalescing transport, what it writes to, and its client's end of a real socket."""
    made: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Taken(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set_result(transport)  # type: ignore[arg-type]

    server = await asyncio.get_running_loop().create_server(Taken, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    spied = _Spied(await made)
    coalescing = CoalescingTransport(spied)
    try:
        yield coalescing, spied, reader
    finally:
        writer.close()
        coalescing.close()
        server.close()


@given(st.lists(st.lists(st.binary(min_size=1, max_size=3000), max_size=40), max_size=6))
def test_everything_arrives_in_order_before_the_end(moments: list[list[bytes]]) -> None:
    async def sent() -> bytes:
        async with _connected() as (transport, _, reader):
            for frames in moments:
                for frame in frames:
                    transport.write(frame)
                await asyncio.sleep(0)
            transport.close()
            return await reader.read()

    assert asyncio.run(sent()) == b"".join(frame for frames in moments for frame in frames)


async def test_frames_of_one_moment_leave_in_one_write() -> None:
    async with _connected() as (transport, spied, reader):
        for number in range(200):
            transport.write(b"%03d" % number)
        assert await reader.readexactly(600) == b"".join(b"%03d" % number for number in range(200))
        assert len(spied.written) == 1


async def test_frames_round_after_round_leave_in_few_writes_and_in_time() -> None:
    async with _connected() as (transport, spied, reader):
        began, rounds = time.monotonic(), 0
        while rounds < 500 or len(spied.written) < 3:
            transport.write(b"token")
            await asyncio.sleep(0)
            rounds += 1
        # The next one is due only once the time is up.
        assert len(spied.written) <= (time.monotonic() - began) / MAX_DELAY_SECONDS + 1
        assert len(spied.written) < rounds / 2
        await reader.readexactly(rounds * len(b"token"))


async def test_a_frame_alone_waits_for_no_time() -> None:
    async with _connected() as (transport, spied, _):
        transport.write(b"alone")
        assert not spied.written
        for _ in range(2):
            await asyncio.sleep(0)
        assert spied.written == [b"alone"]


async def test_a_client_that_does_not_read_is_noticed_at_once() -> None:
    async with _connected() as (transport, spied, _):
        while transport.get_write_buffer_size() == 0:
            transport.write(b"x" * (MAX_BUFFER_BYTES // 4))
        assert sum(map(len, spied.written)) >= transport.get_write_buffer_size() > 0


async def test_what_is_sent_to_who_is_gone_is_dropped() -> None:
    async with _connected() as (transport, spied, _):
        transport.write(b"never")
        transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not spied.written


@pytest.mark.parametrize("size", [1, MAX_BUFFER_BYTES, 3 * MAX_BUFFER_BYTES])
async def test_an_end_leaves_nothing_behind(size: int) -> None:
    async with _connected() as (transport, _, reader):
        transport.write(b"x" * size)
        transport.close()
        assert len(await reader.read()) == size
