"""Parsed descriptions are in memory while they are needed, and no longer."""

import asyncio
import gc
import zlib
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.review.documents import MAX_IN_REVIEW, DocumentCache, packed
from smart_support.connectors.review.import_store import ImportJob, ImportStore

TITLES = ("Desk kept", "Desk removed")
TOOLS = [{"name": "look", "description": "", "schema": {}}]


class _Store:
    def __init__(self) -> None:
        self.reads = 0

    async def description(self, job_id: str) -> bytes:
        self.reads += 1
        server = {"title": f"Desk {job_id}", "version": "1"}
        return orjson.dumps({"mcp": server, "tools": TOOLS})


def _job(job_id: str, status: str) -> ImportJob:
    known: dict[str, Any] = dict.fromkeys(ImportJob.__slots__, "")
    return ImportJob(**known | {"job_id": job_id, "status": status, "kind": "mcp"})


@pytest.mark.slow
async def test_the_memory_of_a_removed_import_is_given_back() -> None:
    cache = DocumentCache(cast(ImportStore, _Store()))
    live = await cache.get(_job("kept", "live"))
    await cache.get(_job("removed", "live"))
    cache.keep_only({"kept"}, set())
    await asyncio.sleep(0)  # the event loop drops the result that it has just handed over
    gc.collect()
    assert [one for one in gc.get_objects() if isinstance(one, Document) and one.title in TITLES] == [live]
    assert await cache.get(_job("kept", "live")) is live


async def test_an_import_that_is_not_in_use_is_not_kept() -> None:
    store = _Store()
    cache = DocumentCache(cast(ImportStore, store))
    for _ in range(2):
        await cache.get(_job("1", "removed"))
    assert store.reads == 2


async def test_only_the_last_reviews_are_kept_beside_the_live_imports() -> None:
    store = _Store()
    cache = DocumentCache(cast(ImportStore, store))
    cache.keep_only({"live"}, set())
    for job_id in ("live", *map(str, range(MAX_IN_REVIEW + 1))):
        await cache.get(_job(job_id, "live" if job_id == "live" else "review"))
    read = store.reads
    await cache.get(_job("live", "live"))
    await cache.get(_job(str(MAX_IN_REVIEW), "review"))
    assert store.reads == read
    await cache.get(_job("0", "review"))
    assert store.reads == read + 1


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
        ),
        max_size=3,
    )
)
def test_a_description_that_is_packed_in_pieces_is_one_json_text(description: dict[str, Any]) -> None:
    assert zlib.decompress(packed(description)) == orjson.dumps(description)
