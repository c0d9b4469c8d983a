"""A search by the index finds what a look at each text finds, whatever becomes of the index."""

import asyncio
import shutil
import threading
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.analytics.metrics import Metrics
from smart_support.storage.events import compaction, duckdb_file, search_index
from smart_support.storage.events.embedded import EmbeddedEventStore
from smart_support.storage.events.search_index import Hits
from tests.support.examples import examples
from tests.support.story import Story, record

# What the search meant before there was an index.
PLAIN = """
    SELECT thread_id FROM events WHERE contains(lower(thread_id), lower($q))
    UNION SELECT thread_id FROM events
        WHERE contains(strip_accents(lower(customer_id)), strip_accents(lower($q)))
    UNION SELECT thread_id FROM events WHERE type = 'message'
        AND contains(strip_accents(lower(payload ->> '$.content')), strip_accents(lower($q)))
"""
# Folded characters, those that FTS5 and SQL read as their own, and those of several bytes.
LETTERS = "aA eéÉßẞIıİσςΣ'\"*()^:-+%_\\\0\x02\n退款订单한글ﬁ½́🎉12"
TEXTS = st.text(LETTERS, min_size=1, max_size=9)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "PART_SIZE", 8)
    monkeypatch.setattr(search_index, "BATCH_SIZE", 3)
    monkeypatch.setattr(search_index, "MIN_NEW_TEXTS", 1)
    monkeypatch.setattr(search_index, "MAX_SAMPLE_SHARE", 1.0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedEventStore]:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    yield log
    log.close()


def _story(thread_id: str, *said: str, customer_id: str | None = None) -> Story:
    story = Story(thread_id, clock.now() - timedelta(days=400), customer_id=customer_id)
    for text in said:
        story.ask(text)
    return story


async def _index(log: EmbeddedEventStore) -> None:
    await log.summarize()
    log.file.search_index.wait()


async def _by_index(log: EmbeddedEventStore, q: str) -> set[str]:
    page, _ = await Metrics(log, 1800).conversations(q=q, limit=100)
    return {row["thread_id"] for row in page}


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.lists(st.tuples(TEXTS, TEXTS), min_size=3, max_size=12),
    sought=st.lists(TEXTS, max_size=4),
    later=st.lists(TEXTS, max_size=4),
    data=st.data(),
)
@example(
    [("退款订单", "İ"), ("STRASSE straße", "a\0b"), ('"a" OR b*', "NEAR(")],
    ["款", "退款", "or b", "\0b"],
    ["ﬁ"],
    None,
)
async def test_the_index_finds_what_a_look_at_each_text_finds(
    tmp_path_factory: pytest.TempPathFactory,
    said: list[tuple[str, str]],
    sought: list[str],
    later: list[str],
    data: st.DataObject | None,
) -> None:
    log = EmbeddedEventStore(tmp_path_factory.mktemp("log") / "events.duckdb")
    try:
        await record(
            log, *(_story(f"T{number}", text, customer_id=whose) for number, (text, whose) in enumerate(said))
        )
        await _index(log)
        await record(log, *(_story(f"later-{number}", text) for number, text in enumerate(later)))
        parts = [one for pair in said for one in pair] + later
        if data:
            for text in data.draw(st.lists(st.sampled_from(parts), max_size=4)):
                first = data.draw(st.integers(0, len(text) - 1))
                sought.append(text[first : first + data.draw(st.integers(1, 4))].swapcase())
        for q in [*sought, "T1", "er-"]:
            normalized = unicodedata.normalize("NFKC", q)
            plain = {row["thread_id"] for row in await log.query(PLAIN, {"q": normalized})}
            assert await _by_index(log, q) == plain, q
    finally:
        log.close()


async def test_a_rare_text_is_looked_up(log: EmbeddedEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "MAX_SAMPLE_SHARE", 0.2)
    await record(log, *(_story(f"t{number}", f"Where is my order {number}?") for number in range(20)))
    await _index(log)
    found = log.file.search_index.find("order 7?")
    assert found
    assert len(found.candidates) == 1
    assert [end for _, end in found.unindexed] == [None]
    assert log.file.search_index.find("order") is None, "nearly every text has it"
    assert log.file.search_index.find("zq") == Hits([], found.unindexed)


async def test_no_hit_is_lost_with_the_index_or_its_last_part(
    log: EmbeddedEventStore, tmp_path: Path
) -> None:
    path = log.file.search_index.path
    await record(log, *(_story(f"t{number}", f"früh {number}") for number in range(9)))
    await _index(log)
    old = shutil.copy(path, tmp_path / "old")
    await record(log, *(_story(f"u{number}", f"spät {number}") for number in range(9)))
    await _index(log)
    expected = [await _by_index(log, q) for q in ("fruh 3", "SPÄT 3")]
    assert expected == [{"t3"}, {"u3"}]
    log.close()
    for make in (lambda: shutil.copy(old, path), path.unlink, lambda: path.write_bytes(b"no database" * 999)):
        make()
        log = EmbeddedEventStore(tmp_path / "events.duckdb")
        assert [await _by_index(log, q) for q in ("fruh 3", "SPÄT 3")] == expected
        await _index(log)
        assert [await _by_index(log, q) for q in ("fruh 3", "SPÄT 3")] == expected
        log.close()


async def test_an_index_of_other_texts_is_not_used(log: EmbeddedEventStore, tmp_path: Path) -> None:
    await record(log, *(_story(f"t{number}", "eins", "zwei") for number in range(9)))
    await _index(log)
    log.close()
    for ending in ("", ".wal"):
        (tmp_path / f"events.duckdb{ending}").unlink(missing_ok=True)
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    await record(log, *(_story(f"u{number}", "drei", "vier") for number in range(9)))
    assert len(await _by_index(log, "drei")) == 9
    await _index(log)
    assert len(await _by_index(log, "drei")) == 9
    assert log.file.search_index.find("zwe") == Hits([], [(27, None)])
    log.close()


async def test_what_is_erased_leaves_the_index(log: EmbeddedEventStore) -> None:
    stories = [_story(f"t{number}", f"Zora Özil {number}" if number == 3 else "gut") for number in range(12)]
    await record(log, *stories)
    await _index(log)
    found = log.file.search_index.find("ozil")
    assert found
    assert found.candidates
    await log.erase(["t3"])
    await _index(log)
    found = log.file.search_index.find("ozil")
    assert found
    assert not found.candidates
    assert len(found.unindexed) == 1
    assert len(await _by_index(log, "gut")) == 11
    for path in log.file.search_index.path.parent.glob("*.search*"):
        assert b"ozi" not in path.read_bytes()


async def test_an_erasure_that_is_cut_off_loses_no_hit(log: EmbeddedEventStore) -> None:
    await record(log, *(_story(f"t{number}", f"gut {number}") for number in range(12)))
    await _index(log)
    log.file.search_index.forget([4, 30])
    log.file.search_index.wait()  # adds nothing
    found = log.file.search_index.find("gut 1")
    assert found
    assert (0, 8) in found.unindexed
    assert await _by_index(log, "gut 1") == {"t1", "t10", "t11"}


async def test_a_compaction_gives_no_number_twice(
    log: EmbeddedEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(log, *(_story(f"t{number}", f"früh {number}") for number in range(6)))
    await _index(log)
    copying, go_on = threading.Event(), threading.Event()

    def held(cursor: Any) -> None:
        copying.set()
        go_on.wait(60)
        compaction.fill_copy(cursor)

    monkeypatch.setattr(duckdb_file, "fill_copy", held)
    running = asyncio.create_task(log.compact())
    await asyncio.to_thread(copying.wait, 10)
    for number in range(6):
        await record(log, _story(f"u{number}", f"spät {number}"))
        await _index(log)
    go_on.set()
    await running
    assert await _by_index(log, "spat 2") == {"u2"}
    await record(log, _story("v", "zuletzt"))
    await _index(log)
    assert [await _by_index(log, q) for q in ("fruh 2", "spat 2", "zuletzt")] == [{"t2"}, {"u2"}, {"v"}]
