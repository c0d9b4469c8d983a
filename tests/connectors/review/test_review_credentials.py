"""Credentials that are entered in a review count for its trials only, until the import is approved."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support.outbound.client import Fetched
from tests.support.import_service import Reviews, document, operation, reviews

SCHEMES = {
    "securitySchemes": {"b": {"type": "http", "scheme": "bearer"}, "k": {"type": "http", "scheme": "bearer"}}
}
PATHS = {
    "/b": {"get": operation("b", security=[{"b": []}])},
    "/k": {"get": operation("k", security=[{"k": []}])},
}
SPEC = document("Desk", "https://api.example", PATHS, components=SCHEMES)


class _Internet:
    """Answers every request, and keeps the token that it contained."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def request(self, method: str, url: str, **sent: Any) -> Fetched:
        """As `GuardedClient.request`."""
        self.tokens.append(sent["headers"]["Authorization"].removeprefix("Bearer "))
        return Fetched(200, httpx.Headers(), b"{}", url)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Reviews]:
    async with reviews(tmp_path, client=_Internet()) as running:
        yield running


async def _used(desk: Reviews, name: str = "b") -> str:
    """The token that a live tool sends."""
    await desk.call(name)
    return str(desk.client.tokens[-1])


async def _tried(desk: Reviews, job_id: str, key: str = "b") -> str:
    """The token that a trial sends."""
    await desk.service.try_out(job_id, key, {})
    return str(desk.client.tokens[-1])


async def test_they_replace_those_of_the_live_import_when_it_is_approved(desk: Reviews) -> None:
    first = await desk.imported(SPEC)
    for name in ("b", "k"):
        await desk.service.enter_credentials(first.job_id, name, {"token": f"first-{name}"})
    await desk.service.approve(first.job_id, by="dana")
    second = await desk.imported(SPEC)
    assert second.api == first.api
    assert await _tried(desk, second.job_id) == "first-b", "what the API has counts in a review too"
    assert await desk.service.enter_credentials(second.job_id, "b", {"token": "second-b"}) == ["b", "k"]
    assert await _tried(desk, second.job_id) == "second-b"
    assert await _used(desk) == "first-b"
    await desk.service.approve(second.job_id, by="dana")
    assert (await _used(desk), await _used(desk, "k")) == ("second-b", "first-k")
    await desk.service.enter_credentials(second.job_id, "b", {"token": "third-b"})
    assert await _used(desk) == "third-b"


async def test_those_of_a_discarded_review_are_deleted(desk: Reviews) -> None:
    live = await desk.imported(SPEC)
    await desk.service.enter_credentials(live.job_id, "b", {"token": "first-b"})
    await desk.service.approve(live.job_id, by="dana")
    first, second = await desk.imported(SPEC), await desk.imported(SPEC)
    for job in (first, second):
        await desk.service.enter_credentials(job.job_id, "b", {"token": f"of-{job.job_id}"})
        assert await _tried(desk, job.job_id) == f"of-{job.job_id}"
    await desk.service.remove(second.job_id, by="dana")
    rows = await desk.state.read("SELECT job_id FROM review_credentials")
    assert [row["job_id"] for row in rows] == [first.job_id]
    assert await _used(desk) == "first-b"
