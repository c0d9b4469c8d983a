"""The headers that every answer has, and how much a body may have."""

import httpx
import pytest
from fastapi.responses import HTMLResponse

from smart_support.api.middleware.body_limit import MAX_BODY_BYTES
from smart_support.server.application import Application
from tests.support.harness import AppProcess

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/login", "/config", "/theme.css", "/api/v1/health", "/api/v1/nothing", "/api/v1/approvals/x"),
        *("/console/base.css", "/console/favicon.svg", "/gradio_api/info", "/gradio_api/file=/etc/passwd"),
    ],
)
def test_every_answer_has_them(server: AppProcess, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}", headers={"Origin": "http://localhost:9"}, timeout=60)
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert "camera=()" in answer.headers["permissions-policy"]
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    page = answer.headers["content-type"].startswith("text/html")
    assert ("script-src 'self'" in policy) is page
    assert ("default-src 'none'" in policy) is not page
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    if path.startswith("/api/"):
        assert answer.headers["cache-control"] == "no-store"


def test_a_monitor_may_ask_for_the_head_alone(server: AppProcess) -> None:
    assert httpx.head(f"{server.url}/api/v1/health").status_code == 200


async def test_so_has_a_page_that_broke() -> None:
    app = Application()

    @app.get("/")
    async def broken() -> HTMLResponse:
        raise RuntimeError("broken")

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/")
    assert answer.status_code == 500
    assert ALWAYS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("path", ["/api/v1/chat", "/gradio_api/queue/join", "/login"])
def test_a_body_has_its_limit(server: AppProcess, path: str) -> None:
    body = b'{"message": "' + b"a" * MAX_BODY_BYTES + b'"}'
    kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
    answer = httpx.post(f"{server.url}{path}", content=body, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == 413
    if path.startswith("/api/v1"):
        assert answer.json()["error"]["code"] == "too_large"
