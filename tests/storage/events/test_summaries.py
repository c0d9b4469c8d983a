"""The summaries hold what a look at all events gives, whenever they were brought up to date."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.__main__ import main
from smart_support.events import Record
from smart_support.storage.events import summaries
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.summaries import TABLES
from tests.analytics.test_metrics_properties import STEPS
from tests.support.examples import examples
from tests.support.story import Story, carried_out, record, resolved, waiting

ORDERED = "SELECT * FROM {} ORDER BY ALL"


async def _rows(log: EmbeddedEventStore) -> dict[str, list[Any]]:
    async with log.snapshot() as snapshot:
        rows = {table: await snapshot.query(ORDERED.format(table)) for table in (*TABLES, "summarized")}
    # A rebuild gives the same texts other numbers.
    rows["texts"].sort(key=lambda row: repr({**row, "number": 0}))
    return rows | {"texts": [{**row, "number": 0} for row in rows["texts"]]}


async def _kept_and_rebuilt(log: EmbeddedEventStore) -> dict[str, list[Any]]:
    """The rows, after a check that a rebuild gives the same."""
    kept = await _rows(log)
    await log.file.run(lambda: _rebuild(log))
    assert await _rows(log) == kept
    return kept


async def test_a_conversation_a_turn_an_approval_and_an_hour_have_their_rows(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    at = clock.parse("2026-03-01T12:59:58Z")
    story = waiting("t", at, "a1", customer_id="C-Ö").decide("a1").result("ok", "cancel_order")
    story.answer("Erledigt für Sie.").complete(1500, (5, 3), 0.25, model="big")
    await record(log, story)
    rows = await _kept_and_rebuilt(log)
    (conversation,) = rows["conversations"]
    assert (conversation["turns"], conversation["cost_usd"], conversation["outcome"]) == (
        2,
        0.25,
        "resolved_with_approval",
    )
    assert (conversation["customer_ids"], conversation["opening"]) == ("c-o", "Cancel order 1042")
    assert conversation["agents"] == ["order_actions", "order_lookup"]
    assert [(row["type"], row["duration_ms"]) for row in rows["turns"]] == [
        ("interrupt", None),
        ("message_complete", 1500.0),
    ]
    assert [(row["tool"], row["outcome"], row["decided_by"]) for row in rows["requests"]] == [
        ("cancel_order", "approved", "dana")
    ]
    assert len({row["hour"] for row in rows["hours"]}) == 2
    assert sum(row["events"] for row in rows["hours"]) == len(story.records)
    assert "erledigt fur sie." in [row["text"] for row in rows["texts"]]
    log.close()


MOVES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(list(STEPS)))
    | st.sampled_from(["look", "restart", "erase", "compact"]),
    min_size=4,
    max_size=24,
)


@pytest.mark.slow
@settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(moves=MOVES, at_once=st.sampled_from([1, 3, 250_000]))
# What comes after an erasure, or after a start, is of an earlier day than the newest event.
@example(moves=[(0, "interrupt"), (3, "ask"), (2, "fail"), "erase", (0, "ask")], at_once=1)
@example(moves=[(0, "complete"), (3, "ask"), "look", "restart", (2, "complete")], at_once=1)
async def test_whenever_they_are_brought_up_to_date_they_are_those_of_a_rebuild(
    tmp_path_factory: pytest.TempPathFactory, moves: list[Any], at_once: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "events.duckdb"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(summaries, "EVENTS_AT_ONCE", at_once)
        log = EmbeddedEventStore(path)
        stories = [_story(number) for number in range(4)]
        for move in moves:
            if move == "look":
                await _rows(log)
            elif move == "restart":
                log.close()
                log = EmbeddedEventStore(path)
            elif move == "erase":
                await log.erase(["t1"])
                stories[1] = _story(1)
            elif move == "compact":
                await log.compact()
            else:
                number, step = move
                told = len(stories[number].records)
                STEPS[step](stories[number])
                await _append(log, stories[number].records[told:])
        await _kept_and_rebuilt(log)
        log.close()


def _story(number: int) -> Story:
    customer = ["mia", "lu", None, "mia"][number]
    return Story(f"t{number}", clock.now() - timedelta(days=30 - number), customer_id=customer)


async def _append(log: EmbeddedEventStore, records: list[Record]) -> None:
    for one in records:
        await log.append(one)


async def test_what_is_erased_leaves_the_summaries_too(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    then = clock.now() - timedelta(days=2)
    mine = resolved("mine", then + timedelta(days=1), customer_id="zora").ask("Mein Name ist Zora Özil")
    theirs = carried_out("theirs", then, "a1", customer_id="zora")
    await record(log, mine, theirs)
    assert [row["reopened"] for row in (await _rows(log))["conversations"]] == [False, True]
    await log.erase(["mine"])
    rows = await _kept_and_rebuilt(log)
    assert [(row["thread_id"], row["reopened"]) for row in rows["conversations"]] == [("theirs", False)]
    assert not [row for table in rows.values() for row in table if row.get("thread_id") == "mine"]
    await log.compact()
    assert b"ozil" not in (tmp_path / "events.duckdb").read_bytes()
    assert await _kept_and_rebuilt(log) == rows
    log.close()


async def test_a_file_from_before_is_summarized_at_the_start(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, *(resolved(f"t{number}", clock.now()) for number in range(3)))
    rows = await _rows(log)
    await log.file.run(lambda: _forget(log))
    log.close()
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    assert await _rows(log) == rows
    log.close()


def _rebuild(log: EmbeddedEventStore) -> None:
    log.file.rebuild_summaries()


def _damage(log: EmbeddedEventStore) -> None:
    log.file.write_cursor.execute("UPDATE conversations SET turns = 7")


def _forget(log: EmbeddedEventStore) -> None:
    for table in TABLES:
        log.file.write_cursor.execute(f"DELETE FROM {table}")
    log.file.write_cursor.execute("UPDATE summarized SET events = 0")


async def test_the_command_rebuilds_what_no_longer_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMART_SUPPORT_DATA_DIR", str(tmp_path))
    assert main(["rebuild-figures"]) == 2
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, resolved("t", clock.now()))
    rows = await _rows(log)
    await log.file.run(lambda: _damage(log))
    log.close()
    assert main(["rebuild-figures"]) == 0
    assert "events.duckdb: 6 events in" in capsys.readouterr().out
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    assert await _rows(log) == rows
    log.close()
