"""Which requests of a browser pass: those of the app's own pages, at a name that nobody else can have."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from smart_support.api.middleware.same_origin import SameOriginMiddleware


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()

    @app.api_route("/", methods=["GET", "POST"])
    async def here() -> str:
        return "here"

    transport = httpx.ASGITransport(app=SameOriginMiddleware(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "host", "origin", "status"),
    [
        ("POST", "127.0.0.1:7860", None, 200),
        ("POST", "127.0.0.1:7860", "http://127.0.0.1:7860", 200),
        ("POST", "localhost:7860", "http://localhost:7860", 200),
        ("POST", "[::1]:7860", "http://[::1]:7860", 200),
        ("GET", "127.0.0.1:7860", "https://evil.example", 200),
        ("POST", "127.0.0.1:7860", "https://evil.example", 403),
        ("POST", "127.0.0.1:7860", "http://127.0.0.1:9999", 403),
        ("POST", "127.0.0.1:7860", "null", 403),
        ("POST", "evil.example:7860", "http://evil.example:7860", 403),
        ("GET", "evil.example:7860", None, 403),
        ("GET", "127.0.0.1.evil.example", None, 403),
        ("GET", "testserver", None, 200),
    ],
)
async def test_who_may_ask(
    client: httpx.AsyncClient, method: str, host: str, origin: str | None, status: int
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    answer = await client.request(method, "/", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "forbidden"
