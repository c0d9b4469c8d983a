"""Under which name a login's cookie is set, and under which it counts."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from smart_support.api import cookies
from smart_support.api.middleware.proxy_headers import TrustedProxiesMiddleware

PLAIN, PREFIXED = cookies.LOGIN, f"__Host-{cookies.LOGIN}"
PROXY, STRANGER = "10.0.0.5", "10.0.0.6"
HTTPS = {"X-Forwarded-Proto": "https"}


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    answer = PlainTextResponse(cookies.read(scope, cookies.LOGIN) or "nobody")
    path = Request(scope).url.path
    if path == "/in":
        cookies.write(answer, scope, cookies.LOGIN, "a-token", 60)
    elif path == "/out":
        cookies.forget(answer, scope, cookies.LOGIN)
    await answer(scope, receive, send)


@pytest.fixture
def ask() -> Any:
    async def asking(path: str = "/", peer: str = PROXY, cookie: str = "", **headers: str) -> httpx.Response:
        app = TrustedProxiesMiddleware(_app, trusted=PROXY)
        transport = httpx.ASGITransport(app=app, client=(peer, 1))
        given = headers | ({"Cookie": cookie} if cookie else {})
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path, headers=given)

    return asking


def _set(answer: httpx.Response) -> dict[str, str]:
    """The attributes of each cookie of an answer, in lower case."""
    lines = answer.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line.partition(";")[2].lower() for line in lines}


@pytest.mark.parametrize(("peer", "headers"), [(PROXY, HTTPS), (STRANGER, {"Origin": "https://x"})])
async def test_over_https_a_cookie_is_the_host_s_alone(ask: Any, peer: str, headers: dict[str, str]) -> None:
    made = _set(await ask("/in", peer, **headers))
    assert made.keys() == {PREFIXED}
    parts = {part.strip() for part in made[PREFIXED].split(";")}
    # RFC 6265bis, section 4.1.3.2: Secure, Path=/, and no Domain.
    assert parts == {"httponly", "max-age=60", "path=/", "samesite=lax", "secure"}


@pytest.mark.parametrize(
    ("peer", "headers"), [(PROXY, {}), (STRANGER, HTTPS), (STRANGER, {"Origin": "http://x"})]
)
async def test_without_tls_a_cookie_has_no_prefix(ask: Any, peer: str, headers: dict[str, str]) -> None:
    made = _set(await ask("/in", peer, **headers))
    assert made.keys() == {PLAIN}
    assert "secure" not in made[PLAIN]


@pytest.mark.parametrize(
    ("cookie", "headers", "expected"),
    [
        (f"{PREFIXED}=a", HTTPS, "a"),
        (f"{PLAIN}=b", HTTPS, "nobody"),
        (f"{PLAIN}=b; {PREFIXED}=a", HTTPS, "a"),
        (f"{PREFIXED}=a; {PLAIN}=b", HTTPS, "a"),
        (f"{PREFIXED.lower()}=b", HTTPS, "nobody"),
        (f"{PLAIN}=b", {"Origin": "https://x"}, "nobody"),
        (f"{PLAIN}=b", {}, "b"),
        (f"x[y]=broken; {PLAIN}=b", {}, "b"),
        (f"{PLAIN}=", {}, "nobody"),
        ("", {}, "nobody"),
    ],
)
async def test_a_cookie_counts_under_its_name(
    ask: Any, cookie: str, headers: dict[str, str], expected: str
) -> None:
    assert (await ask(cookie=cookie, **headers)).text == expected


async def test_a_cookie_of_an_older_version_goes(ask: Any) -> None:
    for path in ("/in", "/out"):
        gone = _set(await ask(path, cookie=f"{PLAIN}=b", **HTTPS))
        assert gone.keys() == {PLAIN, PREFIXED}
        assert "max-age=0" in gone[PLAIN]
    assert "secure" in gone[PREFIXED]


async def test_the_public_url_says_that_browsers_use_tls() -> None:
    app = TrustedProxiesMiddleware(_app, trusted="127.0.0.1", public_url="https://support.example/desk")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x") as client:
        for host, name in (("support.example", PREFIXED), ("127.0.0.1:7860", PLAIN)):
            answer = await client.get("/in", headers={"Host": host, "X-Forwarded-Proto": "http"})
            assert answer.headers["set-cookie"].partition("=")[0] == name
