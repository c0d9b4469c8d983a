"""Where a redirect leads: what goes along, what stays behind, and where it ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smart_support.errors import OutboundRefused, ToolFailed
from smart_support.outbound.client import GuardedClient
from tests.support.loopback import Answer, Asked, certificate, guarded, loopback, reply, tls_server

SECRETS = {
    "Authorization": "Bearer secret",
    "Cookie": "session=secret",
    "X-API-Key": "secret",
    "X-Anything": "secret",
}
HARMLESS = {"Accept": "application/json", "User-Agent": "shop/1", "Accept-Language": "de"}


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    """May reach shop.test and partner.test, which are both on loopback."""
    async with guarded("shop.test", "partner.test") as client:
        yield client


def _going(status: int, location: str) -> Answer:
    """Redirects `/start` and says yes to the rest."""
    return lambda asked: reply(status, location=location) if asked.target == "/start" else reply(body=b"yes")


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        *((status, "GET", "GET") for status in (301, 302, 303, 307, 308)),
        *((status, "HEAD", "HEAD") for status in (301, 302, 303, 307, 308)),
        *((status, "POST", "GET") for status in (301, 302, 303)),
        *((status, "POST", "POST") for status in (307, 308)),
        *((status, "PUT", "PUT") for status in (301, 302, 307, 308)),
        *((303, method, "GET") for method in ("PUT", "PATCH", "DELETE")),
    ],
)
async def test_on_one_origin_a_redirect_keeps_what_its_status_says(
    status: int, method: str, then: str, client: GuardedClient
) -> None:
    body = b"" if method in {"GET", "HEAD"} else b'{"a": 1}'
    typed = {"Content-Type": "application/json"} if body else {}

    def answer(asked: Asked) -> bytes:
        return reply(status, location="../end?x=1#part") if asked.target == "/a/start" else reply()

    async with loopback(answer) as shop:
        url = f"http://shop.test:{shop.port}/a/start"
        answered = await client.request(method, url, headers=SECRETS | typed, content=body or None)
    end = shop.asked[1]
    assert (end.method, end.target) == (then, "/end?x=1")
    assert end.body == (body if then == method else b"")
    assert end.headers.get("content-type") == (typed.get("Content-Type") if then == method else None)
    assert ("content-length" in end.headers) == bool(end.body)
    assert {name: end.headers[name] for name in SECRETS} == SECRETS
    assert answered.url.startswith(f"http://shop.test:{shop.port}/end")


@pytest.mark.parametrize("host", ["partner.test", "shop.test"])
async def test_credentials_stay_with_their_origin(host: str, client: GuardedClient) -> None:
    async with (
        loopback(lambda asked: reply()) as other,
        loopback(_going(302, f"http://{host}:{other.port}/end")) as shop,
    ):
        await client.request("GET", f"http://shop.test:{shop.port}/start", headers=SECRETS | HARMLESS)
    end = other.asked[0]
    assert {name: end.headers[name] for name in HARMLESS} == HARMLESS
    assert not [name for name in SECRETS if name in end.headers]
    assert "secret" not in str(end)
    assert end.headers["host"] == f"{host}:{other.port}"


async def test_credentials_do_not_come_back_by_a_detour(client: GuardedClient) -> None:
    def back(asked: Asked) -> bytes:
        return reply(302, location=f"http://shop.test:{shop.port}/end")

    async with (
        loopback(back) as other,
        loopback(_going(302, f"http://partner.test:{other.port}/")) as shop,
    ):
        await client.request("GET", f"http://shop.test:{shop.port}/start", headers=SECRETS)
    assert [asked.target for asked in shop.asked] == ["/start", "/end"]
    assert "secret" not in str(shop.asked[1])


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("status", [307, 308])
async def test_a_body_or_a_change_is_not_taken_to_another_origin(
    status: int, method: str, client: GuardedClient
) -> None:
    content = None if method == "DELETE" else b"card=4711"
    async with (
        loopback(lambda asked: reply()) as other,
        loopback(_going(status, f"http://partner.test:{other.port}/")) as shop,
    ):
        url = f"http://shop.test:{shop.port}/start"
        with pytest.raises(OutboundRefused, match=f"shop.test redirects this {method} .* partner.test"):
            await client.request(method, url, content=content)
    assert other.connections == 0


async def test_another_scheme_is_another_origin(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(307, location=f"https://shop.test:{shop.port}/")) as shop:
        with pytest.raises(OutboundRefused, match="to another site"):
            await client.request("POST", f"http://shop.test:{shop.port}/", content=b"card=4711")


async def test_a_post_that_becomes_a_get_may_go_on_without_its_body(client: GuardedClient) -> None:
    async with (
        loopback(lambda asked: reply(body=b"end")) as other,
        loopback(_going(303, f"http://partner.test:{other.port}/")) as shop,
    ):
        answer = await client.request("POST", f"http://shop.test:{shop.port}/start", content=b"card=4711")
    assert (answer.content, other.asked[0].method, other.asked[0].body) == (b"end", "GET", b"")


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://shop.test/",
        "//user:pass@shop.test/",
        "http://[",
        "http://x%y/",
        "//shop.test:0/",
    ],
)
async def test_a_redirect_to_what_is_no_web_address_is_refused(location: str, client: GuardedClient) -> None:
    async with loopback(_going(302, location)) as shop:
        with pytest.raises(OutboundRefused, match=r"shop.test redirects"):
            await client.request("GET", f"http://shop.test:{shop.port}/start")


async def test_a_redirect_to_an_origin_that_is_not_allowed_is_the_answer(client: GuardedClient) -> None:
    async with (
        loopback(lambda asked: reply(body=b"there")) as other,
        loopback(lambda asked: _going(302, "/on")(asked) if asked.target == "/start" else leave()) as shop,
    ):
        there = f"http://partner.test:{other.port}"

        def leave() -> bytes:
            return reply(307, location=f"{there}/end")

        url = f"http://shop.test:{shop.port}/start"
        answer = await client.request("GET", url, redirect_origins=())
        assert (answer.status, answer.url) == (307, f"http://shop.test:{shop.port}/on")
        assert other.connections == 0
        answer = await client.request("GET", url, redirect_origins=[there])
        assert (answer.status, answer.content) == (200, b"there")


async def test_redirects_end(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(302, location="/again")) as shop:
        url = f"http://shop.test:{shop.port}/"
        with pytest.raises(ToolFailed, match=r"shop.test redirects more than 2 times"):
            await client.request("GET", url, max_redirects=2)
        assert len(shop.asked) == 3
        answer = await client.request("GET", url, max_redirects=0)
        assert (answer.status, answer.headers["location"]) == (302, "/again")


async def test_a_redirect_that_leads_nowhere_is_an_answer(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(302, b"where?")) as shop:
        assert (await client.request("GET", f"http://shop.test:{shop.port}/")).content == b"where?"


async def test_from_https_to_http_credentials_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate("shop.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with (
        guarded("shop.test") as client,
        loopback(lambda asked: reply()) as plain,
        loopback(_going(302, f"http://shop.test:{plain.port}/"), tls_server(trusted)) as shop,
    ):
        await client.request("GET", f"https://shop.test:{shop.port}/start", headers=SECRETS)
    assert "secret" in str(shop.asked[0])
    assert "secret" not in str(plain.asked[0])
