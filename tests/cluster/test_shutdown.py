"""SIGTERM while the database is slow or does not answer: the process ends within its time."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from smart_support import clock
from tests.support.harness import AppProcess, Client
from tests.support.postgres import Postgres, database
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

SHUTDOWN_SECONDS, SECONDS_MORE = 1, 10
TURNS = 30


def _behind(proxy: TcpProxy, postgres: Postgres, data_dir: Path) -> AppProcess:
    name = database(f"t{clock.new_id().replace('-', '')}").rpartition("/")[2]
    url = f"postgresql://tests@127.0.0.1:{proxy.port}/{name}"
    return AppProcess(data_dir, DATABASE_URL=url, SHUTDOWN_SECONDS=SHUTDOWN_SECONDS)


async def _seconds_to_stop(app: AppProcess) -> float:
    began = time.monotonic()
    os.kill(app.process.pid, signal.SIGTERM)
    await asyncio.to_thread(app.process.join, 40)
    took = time.monotonic() - began
    if app.process.is_alive():
        app.kill()
    return took


async def test_a_stop_ends_in_time_though_the_database_does_not_answer(
    postgres: Postgres, data_dir: Path
) -> None:
    async with tcp_proxy(postgres.port) as proxy:
        app = await asyncio.to_thread(_behind(proxy, postgres, data_dir).start)
        async with await Client.connect(app.ws_url) as client:
            await client.turn("t", "hello")
            proxy.pause()
            await client.send(type="message", thread_id="t", content="hello")
            await client.send(type="ping")
            assert await _seconds_to_stop(app) < SHUTDOWN_SECONDS + SECONDS_MORE


async def test_a_stop_ends_in_time_with_many_turns_on_a_slow_database(
    postgres: Postgres, data_dir: Path
) -> None:
    async with tcp_proxy(postgres.port) as proxy:
        app = await asyncio.to_thread(_behind(proxy, postgres, data_dir).start)
        proxy.delay = 0.02
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(await Client.connect(app.ws_url)) for _ in range(TURNS)
            ]
            for number, client in enumerate(clients):
                await client.send(type="message", thread_id=f"t-{number}", content="hello")
            await clients[0].until("token")
            assert await _seconds_to_stop(app) < SHUTDOWN_SECONDS + SECONDS_MORE
