"""Whose word about a request's origin counts: that of trusted proxies, and of nobody else."""

from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from smart_support import Settings
from smart_support.api.middleware.proxy_headers import TrustedProxiesMiddleware
from smart_support.errors import ConfigError
from tests.support.harness import AppProcess

CLAIMS = {
    "X-Forwarded-For": "192.0.2.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "claimed.example",
    "X-Forwarded-Port": "8443",
    "X-Forwarded-Prefix": "/claimed",
    "Forwarded": "for=192.0.2.9;host=claimed.example;proto=https",
    "X-Real-IP": "192.0.2.9",
}


async def _what_the_app_sees(trusted: str, peer: str = "10.0.0.5", **claims: str) -> dict[str, str]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        assert request.client
        seen = dict(request.headers) | {"client": request.client.host, "scheme": request.url.scheme}
        await JSONResponse(seen)(scope, receive, send)

    inside = TrustedProxiesMiddleware(app, trusted=trusted)
    transport = httpx.ASGITransport(app=inside, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get(
            "/", headers={**CLAIMS, "X-Gradio-Server": "http://claimed.example", **claims}
        )
        seen: dict[str, str] = answer.json()
        return seen


@pytest.mark.parametrize("trusted", ["", "10.0.0.6", "10.0.1.0/24", "::1"])
async def test_a_stranger_says_nothing_of_its_origin(trusted: str) -> None:
    seen = await _what_the_app_sees(trusted)
    assert (seen["client"], seen["scheme"]) == ("10.0.0.5", "http")
    assert not {"claimed", "192.0.2.9"} & {part for value in seen.values() for part in value.split(".")}
    assert seen.keys().isdisjoint({name.lower() for name in (*CLAIMS, "X-Gradio-Server")})


@pytest.mark.parametrize("trusted", ["10.0.0.5", "10.0.0.6, 10.0.0.5", "10.0.0.0/24", "*"])
async def test_a_trusted_proxy_says_where_a_request_comes_from(trusted: str) -> None:
    seen = await _what_the_app_sees(trusted)
    assert (seen["client"], seen["scheme"]) == ("192.0.2.9", "https")
    assert seen["x-forwarded-host"] == "claimed.example"
    assert "x-gradio-server" not in seen


async def test_what_a_client_tells_its_proxy_does_not_count() -> None:
    seen = await _what_the_app_sees("10.0.0.5", **{"X-Forwarded-For": "203.0.113.1, 192.0.2.9"})
    assert seen["client"] == "192.0.2.9"


def test_gradio_builds_no_address_from_a_stranger_s_header(server: AppProcess) -> None:
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json"):
        answer = httpx.get(f"{server.url}{path}", headers=CLAIMS, timeout=30)
        assert answer.status_code == 200
        assert "claimed" not in answer.text + str(answer.headers), path


@pytest.mark.parametrize("value", ["10.0.0.x", "proxy.internal", "10.0.0.5/8", "10.0.0.5 10.0.0.6"])
def test_a_proxy_is_an_address(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TRUSTED_PROXIES: .* is not an address"):
        Settings(trusted_proxies=value, data_dir=tmp_path)
