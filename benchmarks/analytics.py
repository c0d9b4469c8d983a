"""The cost of each figure of the dashboard, as a ratio to a single scan of the columns it reads.

    python benchmarks/analytics.py [EVENTS] [--seconds N] [--keep FOLDER [--prepare]]

1,000,000 events and 20 seconds. The log is made in a temporary folder, or once in FOLDER, which later runs
use again as it is: to make ten million events takes longer than to measure them. `--prepare` makes it and
measures nothing.

Then the dashboard with a tenth of the events in the same 90 days, which tells how its cost grows with them.

Then the same while 1,600 events per second are written, and how long a turn waits for its acknowledgement.
The event log is generated: 90 days of typical conversations. Each time is the minimum of several runs on a
warm file, which excludes the effect of other processes.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.figures import record
from smart_support import clock
from smart_support.analytics.filters import ConversationFilter, FigureSelection, Filters
from smart_support.analytics.metrics import Metrics, MetricsQuery
from smart_support.analytics.query_files import FIGURES
from smart_support.analytics.replay import Replay
from smart_support.analytics.time_range import TimeRange, naive, parse_range
from smart_support.events import Message, MessageComplete, Record
from smart_support.storage.events.base import EventStore
from smart_support.storage.events.duckdb_file import connect
from smart_support.storage.events.embedded import EmbeddedEventStore

DAYS = 90
EVENTS_A_CONVERSATION = 10.8
RUNS = 5
LONG_THREAD = "benchmark-long"
LONG_STEPS = 10_000
PER_SECOND = 1_600
WRITING_SECONDS = 20
RANGES = ("7d", "all")
# Reads every column that a figure uses.
SCAN = """
    SELECT max(thread_id), max(turn_id), max(first_seq), max(seq), max(type), max(channel), max(customer_id),
        max(agent), max(role), max(tool), max(status), max(approval_id), max(outcome), max(decided_by),
        max(model), sum(input_tokens), sum(output_tokens), sum(cost_usd), sum(duration_ms),
        sum(first_token_ms), max(error_class), max(policy), max(kind)
    FROM events WHERE happened_at >= $since AND happened_at < $until
"""

# Conversation `i` has a read and, in three of five cases, a write that is decided and executed. Some are
# escalated, some need clarification, some fail. `p` is the position of an event in its conversation.
FILL = """
INSERT INTO events BY NAME
WITH event AS (
    SELECT
        i,
        p,
        ['message', 'route', 'tool_call', 'tool_result', 'message', 'message_complete', 'message', 'route',
            'tool_call', 'interrupt', 'decision', 'tool_result', 'message', 'message_complete'][p] AS kind,
        $start::TIMESTAMP
            + to_microseconds((i * $gap + p * (900000 + hash(i, p) % 2000000))::BIGINT) AS happened_at
    FROM range($conversations) AS conversation(i), range(1, 15) AS place(p)
    WHERE p <= 6 OR i % 5 < 3
)
SELECT
    uuidv7() AS event_id,
    'thread-' || left(md5(i::VARCHAR), 12) AS thread_id,
    md5(printf('%d-%d', i, CASE WHEN p <= 6 THEN 1 WHEN p <= 10 THEN 2 ELSE 3 END))::UUID AS turn_id,
    p AS first_seq,
    p AS seq,
    happened_at,
    CASE
        WHEN kind = 'message_complete' AND i % 50 = 0 THEN 'error'
        WHEN p = 5 AND i % 11 = 0 THEN 'clarification'
        WHEN p = 2 AND i % 13 = 0 THEN 'escalation'
        ELSE kind
    END AS type,
    'socket' AS channel,
    'customer-' || (i % 5000) AS customer_id,
    CASE WHEN type IN ('tool_call', 'tool_result', 'interrupt') OR p IN (5, 13)
        THEN ['order_lookup', 'order_actions', 'discount', 'fallback'][1 + (i + p // 7) % 4] END AS agent,
    CASE WHEN type = 'message' THEN CASE WHEN p IN (1, 7) THEN 'customer' ELSE 'agent' END END AS role,
    CASE WHEN type IN ('tool_call', 'tool_result', 'interrupt') THEN
        CASE WHEN p < 7 THEN ['get_order_status', 'get_tracking_info'][1 + i % 2]
        ELSE ['cancel_order', 'refund_order', 'apply_discount'][1 + i % 3] END END AS tool,
    CASE WHEN type IN ('tool_call', 'tool_result') THEN printf('call-%d-%d', i, p) END AS tool_call_id,
    CASE WHEN type = 'tool_result' THEN CASE
        WHEN p = 12 AND i % 7 = 0 THEN 'rejected' WHEN hash(i, p) % 40 = 0 THEN 'error' ELSE 'ok' END
        END AS status,
    CASE WHEN type IN ('interrupt', 'decision') THEN printf('approval-%d', i) END AS approval_id,
    CASE WHEN type = 'decision' THEN CASE WHEN i % 7 = 0 THEN 'rejected' WHEN i % 17 = 0 THEN 'expired'
        WHEN i % 19 = 0 THEN 'edited' ELSE 'approved' END END AS outcome,
    CASE WHEN type = 'decision' THEN 'lead' END AS decided_by,
    CASE WHEN type = 'message_complete' THEN 300 + hash(i, p) % 1200 END AS input_tokens,
    CASE WHEN type = 'message_complete' THEN 40 + hash(i, p) % 200 END AS output_tokens,
    CASE WHEN type = 'message_complete' THEN (hash(i, p) % 900) / 1e6 END AS cost_usd,
    CASE WHEN type IN ('message_complete', 'tool_result') THEN 200 + hash(i, p) % 4000 END AS duration_ms,
    -- One object with the fields of all types; each event reads its own.
    json_object(
        'role', role, 'content', printf('Message %d of conversation %d about an order', p, i),
        'agent', agent, 'targets', [], 'reason', 'made up', 'tool', tool, 'tool_call_id', tool_call_id,
        'args', json_object('order_id', i), 'status', status, 'interrupt_id', approval_id, 'action', tool,
        'approval_id', approval_id, 'summary', 'made up', 'expires_at', '2026-01-01T00:00:00.000000Z',
        'outcome', outcome, 'decided_by', decided_by, 'usage', json_object('input_tokens', input_tokens),
        'duration_ms', duration_ms, 'code', 'model_error', 'message', 'made up', 'question', 'made up',
        'options', [], 'delivered', true
    ) AS payload
FROM event
ORDER BY happened_at
"""


def fill(path: Path, events: int) -> None:
    """Generate a log of about `events` events that ends now."""
    print(f"making {events:,} events", flush=True)
    EmbeddedEventStore(path).close()
    conversations = round(events / EVENTS_A_CONVERSATION)
    start = naive(clock.now() - timedelta(days=DAYS))
    with connect(path) as database:
        gap = (DAYS * 86_400_000_000 - 60_000_000) / conversations
        database.execute(FILL, {"conversations": conversations, "start": start, "gap": gap})
        print(
            database.execute(
                "SELECT count(*) || ' events in ' || count(DISTINCT thread_id) FROM events"
            ).fetchone()
        )


async def fastest(work: Callable[[], Awaitable[Any]]) -> float:
    """Milliseconds of the fastest of several runs, after a warm-up."""
    await work()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        await work()
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


async def measure(log: EventStore, time_range: TimeRange) -> None:
    """Print one line per figure of a range."""
    metrics, replay = Metrics(log, 1800), Replay(log)
    page, _ = await metrics.conversations(limit=1)
    since = clock.rfc3339(time_range.since)
    bare = await fastest(lambda: log.query(SCAN, time_range.params))
    print(f"\n{time_range.name:24}{'ms':>9}{'ratio':>9}\n{'bare scan':24}{bare:9.1f}{1:9.1f}")
    work: dict[str, Callable[[], Awaitable[Any]]] = {
        figure: lambda figure=figure: getattr(metrics, figure)(MetricsQuery(time_range))
        for figure in FIGURES
        if hasattr(metrics, figure)
    }
    work["dashboard, all of these"] = lambda: metrics.analytics(time_range.name)
    of_agent = Filters(agent="discount")
    work["dashboard, an agent"] = lambda: metrics.analytics(time_range.name, filters=of_agent)
    work["conversations, a page"] = lambda: metrics.conversations(since=since)
    work["conversations, escalated"] = lambda: metrics.conversations(since=since, outcome="escalated")
    work["conversations, waiting"] = lambda: metrics.conversations(since=since, status="waiting")
    work["conversations, an agent"] = lambda: metrics.conversations(since=since, agent="discount")
    rejected = ConversationFilter(approval="rejected")
    work["conversations, rejected"] = lambda: metrics.conversations(since=since, about=rejected)
    counted = FigureSelection("tools", "refund_order", time_range.since, time_range.until)
    of_figure = ConversationFilter(counted=counted)
    work["conversations, of a tool"] = lambda: metrics.conversations(about=of_figure)
    work["conversations, no text"] = lambda: metrics.conversations(since=since, q="zebra crossing")
    work["conversations, a text"] = lambda: metrics.conversations(since=since, q="conversation 123 about")
    work["replay of a thread"] = lambda: replay.steps(page[0]["thread_id"])
    work["replay, the outline"] = lambda: replay.outline(LONG_THREAD)
    work["replay, a page of 200"] = lambda: replay.steps(LONG_THREAD, LONG_STEPS // 2, 200)
    for name, run in work.items():
        taken = await fastest(run)
        print(f"{name:24}{taken:9.1f}{taken / bare:9.1f}", flush=True)
        record(f"{name}, {time_range.name}", taken, "ms")
        record(f"{name}, {time_range.name}, in scans", taken / bare, "ratio")


async def summarize(log: EventStore) -> None:
    """Summarize a log that has no summaries, and print what it takes."""
    began, cpu = time.perf_counter(), time.process_time()
    async with log.snapshot():
        print(
            f"summaries: {time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU",
            flush=True,
        )


async def index(log: EventStore) -> None:
    """Index the texts that are in no index, and print what it takes."""
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.to_thread(log.file.search_index.wait)
    print(
        f"search index: {time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU",
        flush=True,
    )


async def measure_growth(log: EventStore, smaller: EventStore) -> None:
    """Print how many times as long a dashboard takes as with a tenth of the events."""
    print(f"\n{'ten times the events':24}{'ms':>9}{'ratio':>9}")
    for name in RANGES:
        few, many = [await fastest(partial(Metrics(of, 1800).analytics, name)) for of in (smaller, log)]
        print(f"{f'dashboard, {name}':24}{many:9.1f}{many / few:9.1f}", flush=True)
        record(f"dashboard, {name}, at ten times the events", many / few, "ratio", aim=2)


async def long_thread(log: EventStore) -> None:
    """Append a conversation of 10,000 steps."""
    await asyncio.gather(*(log.append(_message(LONG_THREAD, seq)) for seq in range(1, LONG_STEPS + 1)))


def _message(thread_id: str, seq: int) -> Record:
    return Record(thread_id, seq, Message(role="agent", content=f"Step {seq} of it", agent="order_lookup"))


def _completion(thread_id: str, seq: int) -> Record:
    usage = {"input_tokens": 900, "output_tokens": 60, "cost_usd": None}
    return Record(thread_id, seq, MessageComplete(usage=usage, duration_ms=1200.0))


async def writing(log: EventStore, seconds: int, waits: list[float]) -> None:
    """Write `PER_SECOND` events per second, and record how long each turn waits for its last event."""
    burst, began = PER_SECOND // 100, time.perf_counter()
    for number in range(seconds * 100):
        await asyncio.sleep(max(0, began + number / 100 - time.perf_counter()))
        sent = time.perf_counter()
        for seq in range(1, burst):
            log.append(_message(f"busy-{number}", seq))
        last = log.append(_completion(f"busy-{number}", burst))
        last.add_done_callback(lambda _, sent=sent: waits.append((time.perf_counter() - sent) * 1000))
    await last


async def measure_under_load(log: EventStore, seconds: int) -> None:
    """Print the cost of reads during writes, and of writes during reads."""
    metrics, replay, waits = Metrics(log, 1800), Replay(log), []
    task = asyncio.create_task(writing(log, seconds, waits))
    dashboards, pages = [], []
    while not task.done():
        began = time.perf_counter()
        await metrics.analytics("7d")
        dashboards.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        await replay.steps(LONG_THREAD, LONG_STEPS // 2, 200)
        pages.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.5)
    await task
    print(f"\nwhile {PER_SECOND:,} events per second are written{'p50':>9}{'p99':>9}  ms")
    rows = [
        ("dashboard of 7 days", dashboards),
        ("replay, a page of 200", pages),
        ("a turn waits for its acknowledgement", waits),
    ]
    for name, times in rows:
        print(f"{name:40}{_percentile(times, 0.5):9.1f}{_percentile(times, 0.99):9.1f}")
        record(f"{name} beside writes, p50", _percentile(times, 0.5), "ms")
        record(f"{name} beside writes, p99", _percentile(times, 0.99), "ms")


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def main(events: int, seconds: int, folder: Path, prepare: bool) -> None:
    """Generate a log unless the folder has one, and measure a week and the whole log."""
    log, smaller = await opened(folder, events), await opened(folder / "tenth", events // 10)
    if not await log.read(LONG_THREAD, limit=1):
        await long_thread(log)
    if not prepare:
        for name in RANGES:
            await measure(log, parse_range(name))
        await measure_growth(log, smaller)
        await measure_under_load(log, seconds)
    log.close()
    smaller.close()


async def opened(folder: Path, events: int) -> EmbeddedEventStore:
    """The log in a folder, generated unless it is there, with its summaries and its search index."""
    path = folder / "events.duckdb"
    if not path.exists():
        fill(path, events)
    log = EmbeddedEventStore(path)
    await summarize(log)
    await index(log)
    return log


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("events", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=WRITING_SECONDS, help="of writing while others read")
    parser.add_argument("--keep", type=Path, help="the folder of the log; made there unless it has one")
    parser.add_argument("--prepare", action="store_true", help="make the log in that folder, measure nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smart-support-benchmark-") as temporary:
        kept = given.keep or Path(temporary)
        asyncio.run(main(given.events, given.seconds, kept, given.prepare))
