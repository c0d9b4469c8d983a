"""Runs many WebSocket clients for minutes against a real process: turns, approvals, decisions, reconnects.

No event may be lost: the sequence numbers of every thread have no gap, also after reconnects, and equal those
of replay. The memory of the process must not grow, and first tokens must not be late. Exits with 1 on a
failure.

`--silent` adds sockets that send and never read. With `--full-disk` no file of the app grows for a tenth of
the time: messages are refused with `storage_error` then, and nothing else is lost. With `--postgres-delay` it
runs on Postgres, behind a connection that delays each message.
"""

import argparse
import asyncio
import contextlib
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import uvloop
import websockets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from tests.support.harness import free_port  # noqa: E402
from tests.support.tcp_proxy import tcp_proxy  # noqa: E402

MAX_GROWTH, MAX_FIRST_TOKEN_MS = 0.10, 500.0
# As docs/operations.md has it, with the default of SHUTDOWN_SECONDS.
MAX_STOP_SECONDS = 20.0
TURNS_PER_THREAD = 6
SHARE_LOST = 0.2  # of turns whose connection is cut
READS = ("Where is my order 1042?", "When does order 1043 arrive?", "What do you know about order 1044?")
WRITES = ("Cancel order 1042", "Cancel order 1046", "Make me a coupon of 10%")
# How long a client waits for a connection or the end of a turn; one that gives up counts as an error.
PATIENCE = 180.0
SECONDS_TO_CONNECT_ALL = 20.0


@dataclass
class Thread:
    """The events that a client received. `jumps`: ranges that a resume replaced by one whole message."""

    thread_id: str
    last: int = 0
    seen: set[int] = field(default_factory=set)
    jumps: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Record one event."""
        seq = event["seq"]
        if seq <= self.last:
            self.faults.append(f"{self.thread_id}: {seq} came after {self.last}")
        elif seq > self.last + 1:
            self.jumps.append((self.last + 1, seq))
        self.last = max(self.last, seq)
        self.seen.add(seq)

    def compare(self, steps: list[dict[str, Any]]) -> None:
        """Compare the received events with replay: the same events, without gaps."""
        following = 1
        for step in steps:
            if step["first_seq"] != following:
                self.faults.append(
                    f"{self.thread_id}: replay goes from {following - 1} to {step['first_seq']}"
                )
            following = step["seq"] + 1
            if step["seq"] not in self.seen:
                self.faults.append(f"{self.thread_id}: {step['type']} {step['seq']} was not received")
        if steps and steps[-1]["seq"] != self.last:
            self.faults.append(f"{self.thread_id}: received to {self.last}, recorded to {steps[-1]['seq']}")
        ends = {step["seq"]: step["first_seq"] for step in steps}
        for begin, end in self.jumps:
            if ends.get(end, end + 1) > begin:
                self.faults.append(f"{self.thread_id}: {begin} to {end - 1} are missing")


@dataclass
class Tally:
    """The totals of all clients."""

    threads: list[Thread] = field(default_factory=list)
    first_tokens: list[float] = field(default_factory=list)
    turns: int = 0
    events: int = 0
    decisions: int = 0
    lost_connections: int = 0
    refused: int = 0
    overloaded: int = 0
    is_disk_full: bool = False
    errors: list[str] = field(default_factory=list)


class Customer:
    """One WebSocket client: sends messages, decides approvals, and sometimes loses its connection."""

    def __init__(self, url: str, tally: Tally, number: int, think: float) -> None:
        self._url, self._tally, self._number, self._think = url, tally, number, think
        self._random = random.Random(number)
        self._thread = Thread("")
        self._socket: Any = None

    async def run(self, until: float) -> None:
        """Have conversations of a few turns each until the time is over."""
        await asyncio.sleep(self._random.uniform(0, min(self._think, SECONDS_TO_CONNECT_ALL)))
        await self._connect()
        await _pause(self._random.uniform(0, self._think), until)
        conversations = 0
        while time.monotonic() < until:
            conversations += 1
            self._thread = Thread(f"soak-{self._number}-{conversations}")
            self._tally.threads.append(self._thread)
            if conversations > 1:
                await self._connect()
            for _ in range(TURNS_PER_THREAD):
                if time.monotonic() >= until:
                    break
                await self._turn()
                await _pause(self._random.uniform(0.5, 1.5) * self._think, until)
            await self._socket.close()

    async def _connect(self) -> None:
        self._socket = await websockets.connect(
            self._url, max_size=None, max_queue=None, proxy=None, open_timeout=PATIENCE, ping_timeout=PATIENCE
        )

    async def _turn(self) -> None:
        writes = self._random.random() < 0.25
        content = self._random.choice(WRITES if writes else READS)
        cut_after = self._random.randrange(1, 12) if self._random.random() < SHARE_LOST else 0
        began = time.perf_counter()
        await self._send(type="message", content=content)
        ended = await self._until_end(began, cut_after)
        if ended.get("code") == "overloaded":
            return
        if ended["type"] == "interrupt":
            await asyncio.sleep(self._random.uniform(0, 1))
            await self._decide(ended)
        self._tally.turns += 1

    async def _decide(self, request: dict[str, Any]) -> None:
        """Decide as a lead would, sometimes on a connection that is cut."""
        approved = self._random.random() < 0.5
        cut_after = self._random.randrange(1, 4) if self._random.random() < SHARE_LOST else 0
        frame = {"interrupt_id": request["interrupt_id"], "approved": approved, "reason": "soak"}
        await self._send(type="interrupt_response", **frame)
        self._tally.decisions += 1
        ended = await self._until_end(None, cut_after)
        if ended["type"] == "interrupt":
            await self._decide(ended)

    async def _until_end(self, began: float | None, cut_after: int) -> dict[str, Any]:
        """Receive events until the turn ends; reconnect after `cut_after` of them."""
        count = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                event = orjson.loads(await self._socket.recv())
                if "seq" not in event:
                    self._note_error(event)
                    return event
                self._thread.take(event)
                self._tally.events += 1
                count += 1
                if event["type"] == "token" and began is not None:
                    self._tally.first_tokens.append(1000 * (time.perf_counter() - began))
                    began = None
                if event["type"] in ("message_complete", "interrupt", "error"):
                    if event["type"] == "error":
                        self._note_error(event)
                    return event
                if count == cut_after:
                    began = None  # the next token waits for the connection, not for the app
                    await self._reconnect()

    def _note_error(self, event: dict[str, Any]) -> None:
        if event.get("code") == "storage_error" and self._tally.is_disk_full:
            self._tally.refused += 1
        elif event.get("code") == "overloaded":
            self._tally.overloaded += 1
        else:
            self._tally.errors.append(f"{self._thread.thread_id}: {event}")

    async def _reconnect(self) -> None:
        self._tally.lost_connections += 1
        self._socket.transport.abort()
        await asyncio.sleep(self._random.uniform(0, 0.3))
        await self._connect()
        await self._send(type="resume", after=self._thread.last)

    async def _send(self, **frame: Any) -> None:
        await self._socket.send(orjson.dumps({"thread_id": self._thread.thread_id, **frame}).decode())


async def _pause(seconds: float, until: float) -> None:
    """Sleep, but not beyond the end of the time."""
    await asyncio.sleep(max(0.0, min(seconds, until - time.monotonic())))


async def _stay_silent(url: str, number: int, think: float, until: float) -> None:
    """A client that sends messages and never reads; it comes back when it is disconnected."""
    while time.monotonic() < until:
        with contextlib.suppress(OSError, websockets.WebSocketException):
            # Not read from: the library reads a frame or two, then TCP holds up the server.
            connection = await websockets.connect(
                url, max_queue=1, proxy=None, ping_interval=None, open_timeout=PATIENCE
            )
            while time.monotonic() < until:
                frame = {"type": "message", "thread_id": f"silent-{number}", "content": READS[0]}
                await connection.send(orjson.dumps(frame).decode())
                await _pause(think, until)
            connection.transport.abort()


async def _fill_disk(app: "App", tally: Tally, seconds: float) -> None:
    """Let no file of the app grow from the middle of the time, for a tenth of it."""
    await asyncio.sleep(seconds / 2)
    tally.is_disk_full = True
    app.limit_files(1)
    await asyncio.sleep(seconds / 10)
    app.limit_files(resource.RLIM_INFINITY)
    await asyncio.sleep(5)  # what waited for the disk is told of it
    tally.is_disk_full = False


class App:
    """The app as an operator runs it, and its memory."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sizes: list[float] = []
        own = {"PORT": self.port, "DATA_DIR": folder / "var", "LOG_LEVEL": "warning"}
        own |= {"DATABASE_URL": database_url} if database_url else {}
        environment = {f"SMART_SUPPORT_{name}": str(value) for name, value in own.items()}
        self._log = (folder / "app.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=self._log,
            stderr=self._log,
        )
        self._inspected = psutil.Process(self._process.pid)

    async def ready(self) -> None:
        """Return when the app responds."""
        async with httpx.AsyncClient() as client, asyncio.timeout(300):
            while True:
                try:
                    if (await client.get(f"{self.url}/api/v1/health")).status_code == 200:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)

    async def sample_memory(self) -> None:
        """Record its memory once a second until cancelled."""
        while True:
            self.sizes.append(self._inspected.memory_info().rss / 2**20)
            await asyncio.sleep(1)

    def limit_files(self, size: int) -> None:
        """Let its files grow to no more than this size, as a full disk would."""
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def cpu_seconds(self) -> float:
        """Its CPU time so far."""
        times = self._inspected.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> float:
        """Stop the app; how many seconds that took."""
        began = time.monotonic()
        self._process.terminate()
        self._process.wait(30)
        self._log.close()
        return time.monotonic() - began


async def _recorded(client: httpx.AsyncClient, thread_id: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    after = 0
    while True:
        answer = await client.get(f"/api/v1/replay/{thread_id}", params={"after": after, "limit": 200})
        if answer.status_code != 200:
            return steps
        page = answer.json()
        steps += page["data"]
        after = page["meta"]["next_cursor"]
        if not after:
            return steps


async def _compare(app: App, tally: Tally) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        for thread in tally.threads:
            thread.compare(await _recorded(client, thread.thread_id))


def _growth(sizes: list[float]) -> tuple[float, float]:
    """The memory after a third of the time, when the app is warm, and at the end, as medians."""
    third, few = len(sizes) // 3, max(1, len(sizes) // 10)
    return statistics.median(sizes[third : third + few]), statistics.median(sizes[-few:])


async def _soak(given: argparse.Namespace, folder: Path, database_url: str = "") -> int:
    app, tally = App(folder, database_url), Tally()
    sockets, seconds, think = given.sockets, given.seconds, given.think
    beside: list[asyncio.Task[None]] = []
    try:
        await app.ready()
        sampling = asyncio.create_task(app.sample_memory())
        began, used = time.monotonic(), app.cpu_seconds()
        customers = [
            Customer(f"ws://127.0.0.1:{app.port}/ws", tally, number, think).run(began + seconds)
            for number in range(sockets)
        ]
        url = f"ws://127.0.0.1:{app.port}/ws"
        silent = (
            _stay_silent(url, number, given.silent_think, began + seconds) for number in range(given.silent)
        )
        beside += [asyncio.create_task(one) for one in silent]
        if given.full_disk:
            beside.append(asyncio.create_task(_fill_disk(app, tally, seconds)))
        done = await asyncio.gather(*customers, return_exceptions=True)
        took, used = time.monotonic() - began, app.cpu_seconds() - used
        await asyncio.gather(*beside)
        sampling.cancel()
        await _compare(app, tally)
    finally:
        stopped = app.stop()
    tally.errors += [repr(one) for one in done if isinstance(one, BaseException)]
    return _report(tally, app.sizes, sockets, took, used, stopped)


async def _soak_on_postgres(given: argparse.Namespace, folder: Path) -> int:
    from tests.support.postgres import Postgres

    cluster = Postgres(durable=True)
    await asyncio.to_thread(cluster.start)
    try:
        async with tcp_proxy(cluster.port) as proxy:
            proxy.delay = given.postgres_delay / 1000
            return await _soak(given, folder, f"postgresql://tests@127.0.0.1:{proxy.port}/postgres")
    finally:
        await asyncio.to_thread(cluster.stop)


def _report(tally: Tally, sizes: list[float], sockets: int, took: float, used: float, stopped: float) -> int:
    """Print the results; 1 if a limit is exceeded, else 0."""
    faults = [fault for thread in tally.threads for fault in thread.faults]
    warm, end = _growth(sizes)
    cuts = statistics.quantiles(tally.first_tokens, n=100) if len(tally.first_tokens) > 1 else [0.0] * 99
    growth = end / warm - 1
    rows = [
        ("sockets", f"{sockets}", ""),
        ("seconds", f"{took:.0f}", ""),
        ("conversations", f"{len(tally.threads):,}", ""),
        ("turns", f"{tally.turns:,} ({tally.turns / took:.1f} per second)", ""),
        ("events", f"{tally.events:,}", ""),
        ("decisions", f"{tally.decisions:,}", ""),
        ("lost connections", f"{tally.lost_connections:,}", ""),
        ("processor", f"{used / took:.0%} of one core", ""),
        ("refused on a full disk", f"{tally.refused:,}", ""),
        ("refused as overloaded", f"{tally.overloaded:,}", ""),
        ("lost or duplicate events", f"{len(faults)}", "0"),
        ("errors", f"{len(tally.errors)}", "0"),
        ("first token, p50", f"{cuts[49]:.0f} ms", ""),
        ("first token, p99", f"{cuts[98]:.0f} ms", f"{MAX_FIRST_TOKEN_MS:.0f} ms"),
        ("seconds to stop", f"{stopped:.1f}", f"{MAX_STOP_SECONDS:.0f}"),
        ("memory, highest", f"{max(sizes):.0f} MB", ""),
        ("memory, warm to end", f"{warm:.0f} to {end:.0f} MB ({growth:+.1%})", f"{MAX_GROWTH:+.0%}"),
    ]
    record("first token, p99", cuts[98], "ms", MAX_FIRST_TOKEN_MS)
    record("memory growth", growth, "share", MAX_GROWTH)
    record("processor", used / took, "cores")
    print(f"{'':24}{'measured':>28}{'limit':>12}")
    for name, measured, limit in rows:
        print(f"{name:24}{measured:>28}{limit:>12}")
    for fault in [*faults[:10], *tally.errors[:10]]:
        print(fault, file=sys.stderr)
    is_late = cuts[98] > MAX_FIRST_TOKEN_MS or stopped > MAX_STOP_SECONDS
    return 1 if faults or tally.errors or growth > MAX_GROWTH or is_late else 0


def _raise_descriptor_limit() -> None:
    """Let this process and the app have a descriptor for each socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Run the soak test against a new app."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--think", type=float, default=20, help="average seconds between messages")
    parser.add_argument("--silent", type=int, default=0, help="more sockets, which send and never read")
    parser.add_argument("--silent-think", type=float, default=5, help="seconds between their messages")
    parser.add_argument("--full-disk", action="store_true", help="for a tenth of the time")
    parser.add_argument(
        "--postgres-delay", type=float, metavar="MS", help="run on Postgres, each way delayed"
    )
    given = parser.parse_args()
    _raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="smart-support-soak-") as folder:
        if given.postgres_delay is None:
            return uvloop.run(_soak(given, Path(folder)))
        return uvloop.run(_soak_on_postgres(given, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
