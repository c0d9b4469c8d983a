"""An admin's own question: answered from the log, and from nothing else whatever it says."""

import asyncio
from datetime import timedelta

import pytest

from smart_support import clock
from smart_support.analytics import sql_box as sql_box_module
from smart_support.analytics.sql_box import SqlBox
from smart_support.errors import InvalidRequest
from smart_support.storage import event_file
from smart_support.storage.event_log import EventLog
from tests.analytics.story import record, resolved


@pytest.fixture
async def box(event_log: EventLog) -> SqlBox:
    await record(event_log, resolved("t", clock.now() - timedelta(hours=1), customer_id="mia"))
    return SqlBox(event_log, seconds=0.3, max_rows=100)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT type, count(*) AS n FROM events WHERE type = 'message' GROUP BY 1", [["message", 2]]),
        ("WITH mine AS (SELECT * FROM events) SELECT count(DISTINCT thread_id) FROM mine;", [[1]]),
        ("SELECT max(seq) OVER () > 3 FROM events LIMIT 1 -- a remark", [[True]]),
        ("FROM (VALUES (1), (2)) AS numbers(a) SELECT a ORDER BY a", [[1], [2]]),
        ("SELECT unnest([1, 2]) UNION ALL SELECT 3", [[1], [2], [3]]),
        ("SELECT payload ->> '$.role' FROM events WHERE role = 'customer'", [["customer"]]),
        (
            "SELECT 2::HUGEINT ** 70 > 1, 170141183460469231731687303715884105727, NULL, DATE '2026-11-23'",
            [[True, "170141183460469231731687303715884105727", None, "2026-11-23"]],
        ),
    ],
)
async def test_a_question_is_answered(box: SqlBox, sql: str, rows: list[list[object]]) -> None:
    assert (await box.ask(sql)).rows == rows


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT content FROM read_blob('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM 'https://example.com/a.parquet'",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('events')",
        "SELECT (SELECT count(*) FROM read_csv('/etc/passwd'))",
        "WITH events AS (SELECT * FROM duckdb_settings()) SELECT * FROM events",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM applied_migrations",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM main.events",
        "SELECT getenv('HOME')",
        "SELECT current_setting('temp_directory')",
        "SELECT write_log('x')",
        "SELECT sleep_ms(10000)",
        "SELECT nextval('s')",
        "SELECT repeat('x', 4000000000)",
        "SELECT printf('%2000000000d', 1)",
        "SELECT len(range(4000000000))",
        "COPY events TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "DESCRIBE events",
        "SHOW TABLES",
        "EXPLAIN ANALYZE SELECT 1",
        "INSERT INTO events SELECT * FROM events",
        "UPDATE events SET tool = 'x'",
        "DELETE FROM events",
        "DROP TABLE events",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; DROP TABLE events",
        "SELECT 1) ; DROP TABLE events; SELECT * FROM (SELECT 1",
        "SELECT 1) LIMIT 1; --",
        "SELECT * FROM box",
        "SELEC 1",
        "",
        "SELECT no_such_column FROM events",
        "(" * 9000,
        "SELECT " + "-" * 9001 + "1",
        "SELECT " + "NOT " * 4000,
        "SELECT CASE WHEN 1 THEN " * 400,
    ],
)
async def test_what_is_no_question_to_the_log_is_refused(box: SqlBox, event_log: EventLog, sql: str) -> None:
    before = await event_log.query("SELECT count(*) AS n FROM events")
    with pytest.raises(InvalidRequest) as refused:
        await box.ask(sql)
    assert "\n" not in refused.value.message
    assert await event_log.query("SELECT count(*) AS n FROM events") == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(100000000000) a WHERE a.range % 7 = 1",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 3",
    ],
)
async def test_a_question_without_end_is_stopped_and_the_log_goes_on(
    box: SqlBox, event_log: EventLog, sql: str
) -> None:
    asked = asyncio.create_task(box.ask(sql))
    await record(event_log, resolved("meanwhile", clock.now()))
    with pytest.raises(InvalidRequest, match=r"took more than 0\.3 s"):
        await asked
    assert len(await event_log.read("meanwhile")) > 0


async def test_a_question_that_would_take_the_memory_of_others_is_stopped(
    event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_file, "MOST_ASKED_BYTES", 200_000_000)
    sql = "SELECT list(a.range * 31 + b.range) FROM range(10000) a, range(100000) b"
    with pytest.raises(InvalidRequest, match="1 GB of memory, and was stopped"):
        await SqlBox(event_log, seconds=60).ask(sql)


async def test_rows_that_are_too_long_together_are_left_out(
    box: SqlBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_box_module, "MAX_CHARS", 1000)
    table = await box.ask("SELECT '" + "x" * 300 + "' FROM range(5)")
    assert (len(table.rows), table.truncated) == (3, True)


async def test_more_rows_than_fit_are_left_out_and_said_so(box: SqlBox) -> None:
    table = await box.ask("SELECT range AS n FROM range(1000)")
    assert (table.columns, len(table.rows), table.truncated) == (["n"], 100, True)
    assert not (await box.ask("SELECT range FROM range(100)")).truncated
