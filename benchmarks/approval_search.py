"""The slowest decision and health answer while 30 clients search 100,000 approvals, and without searches.

The ratio compares the two: the same decisions and health checks, on the same data, in the same process.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.approvals import fill  # noqa: E402
from benchmarks.figures import record  # noqa: E402
from smart_support.observability import log  # noqa: E402
from smart_support.storage.state.sqlite import SqliteStateDatabase  # noqa: E402
from tests.support.harness import AppProcess  # noqa: E402

# A frequent text, a rare one, one that is nowhere, and two that no index has.
SEARCHED = ("cancel order", "c-0", "order cancel order cancel", "zz", "e")


async def _search(client: httpx.AsyncClient, url: str, answered: list[float]) -> None:
    for number in range(10**9):
        params = {"q": SEARCHED[number % len(SEARCHED)], "sort": ("newest", "risk")[number % 2]}
        started = time.perf_counter()
        (await client.get(f"{url}/approvals", params=params)).raise_for_status()
        answered.append(time.perf_counter() - started)


async def _measure(client: httpx.AsyncClient, url: str, ids: list[str]) -> dict[str, float]:
    """Seconds of the slowest decision and health answer."""
    slowest = {"decision": 0.0, "health": 0.0}
    for approval_id in ids:
        for name, path, body in (
            ("decision", f"/approvals/{approval_id}/decision", {"decision": "reject"}),
            ("health", "/health", None),
        ):
            started = time.perf_counter()
            method = "POST" if body else "GET"
            (await client.request(method, url + path, json=body)).raise_for_status()
            slowest[name] = max(slowest[name], time.perf_counter() - started)
    return slowest


async def measured(folder: Path, count: int, searches: int, decisions: int) -> None:
    """Fill a data folder, and print the figures."""
    state = SqliteStateDatabase(folder / "state.sqlite")
    ids = await fill(state, count, 2 * decisions)
    state.close()
    app = await asyncio.to_thread(AppProcess(folder).start)
    url = f"{app.url}/api/v1"
    try:
        limits = httpx.Limits(max_connections=searches + 2)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            alone = await _measure(client, url, ids[:decisions])
            answered: list[float] = []
            tasks = [asyncio.create_task(_search(client, url, answered)) for _ in range(searches)]
            meanwhile = await _measure(client, url, ids[decisions:])
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await asyncio.to_thread(app.stop)
    print(f"{searches} parallel searches over {count:,} approvals, {len(answered)} answered meanwhile")
    for name, seconds in meanwhile.items():
        print(
            f"  slowest {name} {seconds * 1000:.1f} ms, without searches {alone[name] * 1000:.1f} ms, "
            f"ratio {seconds / alone[name]:.2f}"
        )
        record(f"slowest {name} beside searches", seconds * 1000, "ms")
        record(f"slowest {name} beside searches, to alone", seconds / alone[name], "ratio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=100_000, help="approvals in the table")
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--decisions", type=int, default=100)
    given = parser.parse_args()
    log.configure("console", "error")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measured(Path(folder) / "var", given.count, given.searches, given.decisions))


if __name__ == "__main__":
    main()
