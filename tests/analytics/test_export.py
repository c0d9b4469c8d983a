"""Exports, read back: every event of the range and nothing else, whole, and no file left behind."""

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest

from smart_support.analytics.export import Format, exported
from smart_support.analytics.filters import Filters
from smart_support.analytics.span import span
from smart_support.events import payload
from smart_support.storage.event_log import EventLog
from tests.analytics.story import Story, carried_out, record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANGE = span(None, "2026-03-01T12:00:00Z", "2026-03-02")
TRICKY = 'Quote " comma, semicolon; new\nline, Zürich, 日本, =1+1'


@pytest.fixture
def temporary(event_log: EventLog) -> Path:
    """Where exports are written: in the data folder, which nobody else can read."""
    assert event_log.export_folder.stat().st_mode & 0o777 == 0o700
    return event_log.export_folder


async def _export(log: EventLog, format_: Format) -> bytes:
    file, size = await exported(log, RANGE, format_)
    with file:
        content = file.read()
    assert len(content) == size
    return content


async def _recorded(log: EventLog) -> Story:
    inside = (
        carried_out("in", NOON, "a1", customer_id="C-7").ask(TRICKY).answer(TRICKY).complete(cost_usd=0.25)
    )
    await record(
        log,
        Story("before", NOON - timedelta(hours=1)).ask(),
        inside,
        Story("after", NOON + timedelta(days=1)).ask(),
    )
    return inside


async def test_csv(event_log: EventLog, temporary: Path) -> None:
    story = await _recorded(event_log)
    rows = list(csv.DictReader(io.StringIO((await _export(event_log, "csv")).decode())))
    assert [row["event_id"] for row in rows] == [told.event_id for told in story.records]
    assert rows[0]["happened_at"] == "2026-03-01T12:00:00.000000Z"
    assert [orjson.loads(row["payload"]) for row in rows] == [payload(told.event) for told in story.records]
    assert os.listdir(temporary) == []


async def test_parquet(event_log: EventLog, tmp_path: Path, temporary: Path) -> None:
    story = await _recorded(event_log)
    path = tmp_path / "read-back.parquet"
    path.write_bytes(await _export(event_log, "parquet"))
    asked = "SELECT thread_id, seq, type, happened_at, cost_usd, payload FROM read_parquet(?) ORDER BY seq"
    rows = duckdb.execute(asked, [str(path)]).fetchall()
    assert [(row[0], row[1], row[2]) for row in rows] == [("in", t.seq, t.event.type) for t in story.records]
    assert rows[0][3] == datetime(2026, 3, 1, 12)
    assert rows[-1][4] == 0.25
    assert [orjson.loads(row[5]) for row in rows] == [payload(told.event) for told in story.records]
    assert os.listdir(temporary) == []


async def test_a_range_without_events_is_a_file_without_rows(event_log: EventLog, tmp_path: Path) -> None:
    (header,) = (await _export(event_log, "csv")).decode().splitlines()
    assert header.startswith("event_id,thread_id,turn_id,first_seq,seq,happened_at,type,")
    path = tmp_path / "read-back.parquet"
    path.write_bytes(await _export(event_log, "parquet"))
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall() == [(0,)]


async def test_filters_apply_to_an_export_too(event_log: EventLog) -> None:
    stories = [Story("mine", NOON, channel="rest").ask().complete(), Story("other", NOON).ask().complete()]
    await record(event_log, *stories)
    file, _ = await exported(event_log, RANGE, "csv", Filters(channel="rest"))
    with file:
        rows = list(csv.DictReader(io.StringIO(file.read().decode())))
    assert [row["thread_id"] for row in rows] == ["mine", "mine"]
