"""Decisions per second with 100,000 approvals in the table, and the time until 50 open windows show one.

The ratio compares with a single durable write: one row, one commit, same disk. If Postgres is installed, the
same is measured on a temporary cluster and compared with a single `UPDATE ... RETURNING`.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson
import websockets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.figures import record  # noqa: E402
from smart_support.approvals.approval import Request  # noqa: E402
from smart_support.approvals.decision import DecisionInput  # noqa: E402
from smart_support.approvals.queue import ApprovalQueue  # noqa: E402
from smart_support.gate.planned_call import PlannedCall  # noqa: E402
from smart_support.observability import log  # noqa: E402
from smart_support.storage.state.base import Connection, StateDatabase  # noqa: E402
from smart_support.storage.state.sqlite import SqliteStateDatabase  # noqa: E402
from tests.support.postgres import Postgres, is_installed  # noqa: E402

AIM = 3.0
DECISIONS, WINDOWS, SHOWN = 2_000, 50, 40


def _request(number: int) -> Request:
    return Request(
        call=PlannedCall(
            tool_call_id=f"c-{number}",
            tool="cancel_order",
            args={"order_id": str(number)},
            agent="order_actions",
            summary=f"Cancel order {number}",
            tool_version="1",
            need="ask",
        ),
        thread_id=f"t-{number}",
        interrupt_id=f"i-{number}",
    )


async def fill(state: StateDatabase, count: int, pending: int) -> list[str]:
    """Insert `count` decided and `pending` pending approvals; returns the ids of the pending ones."""
    queue = ApprovalQueue(state, 3600)
    await queue.request(_request(0))

    def insert_decided(connection: Connection) -> None:
        own = {name: f"{name} || '-' || nth" for name in ("approval_id", "thread_id", "interrupt_id")}
        _multiply(connection, "approvals", count, own)
        _multiply(connection, "audit", count, {"number": "number + nth"})
        connection.execute("UPDATE approvals SET status = 'approved', execution = 'done', resumed = 1")

    await state.transact(insert_decided)
    return [(await queue.request(_request(count + number))).approval_id for number in range(pending)]


def _multiply(connection: Connection, table: str, count: int, own: dict[str, str]) -> None:
    """Copy the only row of a table until there are `count`. `own`: column -> SQL of its value."""
    columns = [*connection.execute(f"SELECT * FROM {table}")[0]]
    connection.execute(
        f"""WITH RECURSIVE copies(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM copies WHERE nth < :most)
            INSERT INTO {table} ({", ".join(columns)})
            SELECT {", ".join(own.get(name, name) for name in columns)} FROM {table}, copies""",
        {"most": count - 1},
    )


async def _bare(state: StateDatabase, count: int) -> list[float]:
    await state.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, text TEXT)")
    spent = []
    for number in range(count):
        started = time.perf_counter()
        await state.execute("INSERT INTO bare VALUES (:n, 'x')", {"n": number})
        spent.append(time.perf_counter() - started)
    return spent


async def _time_decisions(state: StateDatabase, count: int, measured: int) -> list[float]:
    """Seconds of each decision, in sequence."""
    ids, queue, spent = await fill(state, count, measured), ApprovalQueue(state, 3600), []
    for approval_id in ids:
        started = time.perf_counter()
        await queue.decide(approval_id, DecisionInput("approve", decided_by="dana", via="rest"))
        spent.append(time.perf_counter() - started)
    return spent


def _report(spent: list[float], floor_name: str, bare: list[float], store: str) -> None:
    ours, floor = statistics.median(spent), statistics.median(bare)
    p99 = statistics.quantiles(spent, n=100)[98]
    print(
        f"  {1 / statistics.mean(spent):6.0f} per second, p50 {ours * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms"
    )
    print(f"  ratio to {floor_name} {ours / floor:5.2f}  (p50 {floor * 1000:.2f} ms)")
    record(f"decision, {store}, p50", ours * 1000, "ms")
    record(f"decision, {store}, p99", p99 * 1000, "ms")
    record(f"decision, {store}", ours / floor, "ratio", AIM)


async def decisions(folder: Path, count: int, measured: int) -> None:
    state = SqliteStateDatabase(folder / "state.sqlite")
    spent = await _time_decisions(state, count, measured)
    bare = await _bare(state, measured)
    state.close()
    print(f"decisions with {count:,} approvals in the table, in sequence")
    _report(spent, "a bare durable row", bare, "embedded")


def on_postgres(count: int, measured: int) -> None:
    """The same on a temporary Postgres with durable commits."""
    from smart_support.storage.state.postgres import PostgresStateDatabase

    cluster = Postgres(durable=True).start()
    try:
        url = f"{cluster.url}/postgres"
        state = PostgresStateDatabase(url)
        spent = asyncio.run(_time_decisions(state, count, measured))
        bare = _bare_updates(url, measured)
        state.close()
    finally:
        cluster.stop()
    print(f"the same on Postgres, with {count:,} approvals in the table")
    _report(spent, "a bare UPDATE ... RETURNING", bare, "Postgres")


def _bare_updates(url: str, count: int) -> list[float]:
    import psycopg

    spent = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bare AS SELECT n AS number, '' AS text FROM generate_series(1, %s) AS n", [count]
        )
        connection.execute("ALTER TABLE bare ADD PRIMARY KEY (number)")
        for number in range(1, count + 1):
            started = time.perf_counter()
            changed = "UPDATE bare SET text = 'x' WHERE number = %s RETURNING *"
            connection.execute(changed, [number]).fetchone()
            spent.append(time.perf_counter() - started)
    return spent


async def _window(url: str, received: dict[str, list[float]], ready: asyncio.Event) -> None:
    async with websockets.connect(url, proxy=None, max_queue=None) as connection:
        await connection.send('{"type": "watch_approvals"}')
        await connection.recv()
        ready.set()
        while True:
            frame = orjson.loads(await connection.recv())
            if frame["type"] == "approval" and frame["approval"]["decided_at"]:
                received.setdefault(frame["approval"]["approval_id"], []).append(time.perf_counter())


async def _delays(base: str, count: int, decided: int) -> list[float]:
    """Seconds from each decision until each window receives it."""
    received: dict[str, list[float]] = {}
    readies = [asyncio.Event() for _ in range(count)]
    address = base.replace("http", "ws").replace("/api/v1", "/ws")
    windows = [asyncio.create_task(_window(address, received, ready)) for ready in readies]
    await asyncio.gather(*(ready.wait() for ready in readies))
    delays: list[float] = []
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(decided):
            response = await client.post(f"{base}/chat", json={"message": "Give me a coupon with 10% off"})
            approval_id = response.json()["data"]["approval"]["approval_id"]
            started = time.perf_counter()
            await client.post(f"{base}/approvals/{approval_id}/decision", json={"decision": "reject"})
            while len(received.get(approval_id, ())) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            delays += [at - started for at in received[approval_id][:count]]
    for window in windows:
        window.cancel()
    return delays


def shown(folder: Path, count: int, decided: int) -> None:
    """Measure the time until `count` open windows show each of `decided` decisions."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {"SMART_SUPPORT_PORT": str(port), "SMART_SUPPORT_DATA_DIR": str(folder)}
    base = f"http://127.0.0.1:{port}/api/v1"
    silent = subprocess.DEVNULL
    server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=os.environ | own, stderr=silent)
    try:
        while True:
            try:
                if httpx.get(f"{base}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        delays = asyncio.run(_delays(base, count, decided))
    finally:
        server.terminate()
        server.wait(30)
    p50, p95 = statistics.median(delays), statistics.quantiles(delays, n=20)[18]
    print(f"a decision shown in {count} open windows: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
    print(f"  ratio to the limit of 1 s {p95:5.3f}")
    record(f"decision in {count} windows, p95", p95 * 1000, "ms", 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("approvals", nargs="?", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    parser.add_argument("--windows", type=int, default=WINDOWS, help="0: measure only decisions")
    parser.add_argument("--shown", type=int, default=SHOWN, help="number of decisions to show")
    given = parser.parse_args()
    log.configure("console", "error")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(decisions(Path(folder) / "queue", given.approvals, given.decisions))
        if is_installed():
            on_postgres(given.approvals, given.decisions)
        if given.windows:
            shown(Path(folder) / "app", given.windows, given.shown)


if __name__ == "__main__":
    main()
