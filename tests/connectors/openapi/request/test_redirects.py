"""A redirect is followed where that is harmless, and else the result says what happened."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.request.api_client import Api, ApiClient
from smart_support.errors import SmartSupportError, ToolFailed
from smart_support.outbound.client import Fetched
from tests.support.loopback import Asked, guarded, loopback, reply

API = Api("Desk", "https://api.test/v1", {}, "desk", "https://api.test")
OPERATION = Operation(key="POST /orders", method="POST", path="/orders", tool_name="create_order")
READ = Operation(key="GET /orders", method="GET", path="/orders", tool_name="list_orders")
KEY = "k1"


class _Client:
    """Answers in turn with these status codes and locations, and keeps what was sent."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers, self.sent = [*answers], []

    async def request(self, method: str, url: str, **request: Any) -> Fetched:
        self.sent.append((method, url, request["content"]))
        status, location = self.answers.pop(0)
        headers = {"location": location} if location else {}
        return Fetched(status, httpx.Headers(headers), b'{"ok": true}' if status == 200 else b"", url)


class _Vault:
    async def credentials(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


async def _called(client: _Client, key: str | None = KEY) -> Any:
    caller = ApiClient(client, _Vault(), 5)  # type: ignore[arg-type]  # as much of them as is used
    return await caller.call(API, OPERATION, {}, key)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_write_with_a_key_follows_to_the_same_origin(status: int) -> None:
    client = _Client((status, "/v2/orders#top"), (status, "https://api.test/v3/orders"), (200, ""))
    assert await _called(client) == {"ok": True}
    assert [sent[:2] for sent in client.sent] == [
        ("POST", f"https://api.test/{version}/orders") for version in ("v1", "v2", "v3")
    ]


@pytest.mark.parametrize(
    ("status", "location", "key"),
    [
        (307, "https://other.test/orders", KEY),
        (308, "http://api.test/v1/orders", KEY),
        (307, "/v2/orders", None),
        (301, "https://api.test/v1/orders/", KEY),
        (302, "https://login.test/", KEY),
        (304, "", KEY),
    ],
)
async def test_a_redirect_that_is_not_followed_did_nothing_and_says_where_it_leads(
    status: int, location: str, key: str | None
) -> None:
    client = _Client((status, location))
    with pytest.raises(SmartSupportError, match=rf"redirected this call \({status}\)") as told:
        await _called(client, key)
    assert told.value.nothing_done
    assert len(client.sent) == 1
    assert "other.test" not in told.value.message


async def test_see_other_is_done_and_a_page_of_the_same_site_is_in_doubt() -> None:
    assert "refers to /orders/7" in (await _called(_Client((303, "/orders/7?token=secret"))))["message"]
    with pytest.raises(SmartSupportError, match=r"redirected this call .302. to /thanks") as told:
        await _called(_Client((302, "/thanks")))
    assert not told.value.nothing_done


async def test_a_read_is_not_redirected_to_a_host_that_nobody_allowed() -> None:
    elsewhere = loopback(lambda asked: reply(body=b'{"of": "another host"}', content_type="application/json"))
    async with guarded("shop.test", "partner.test") as client, elsewhere as partner:
        there = f"http://partner.test:{partner.port}"

        def answer(asked: Asked) -> bytes:
            return reply(302, location="/orders/2" if asked.target == "/orders" else f"{there}/orders")

        async with loopback(answer) as shop:
            here = f"http://shop.test:{shop.port}"
            caller = ApiClient(client, _Vault(), 5)  # type: ignore[arg-type]  # as above
            api = Api("Desk", here, {}, "desk", here)
            with pytest.raises(ToolFailed, match=r"redirected this call \(302\) to another site") as told:
                await caller.call(api, READ, {}, None)
            assert [asked.target for asked in shop.asked] == ["/orders", "/orders/2"]
            assert partner.connections == 0
            assert "partner.test" not in told.value.message
            assert f"The redirect led to {there}." in told.value.detail
            allowed = replace(api, redirect_origins=frozenset({there}))
            assert await caller.call(allowed, READ, {}, None) == {"of": "another host"}


async def test_the_record_of_a_write_says_where_a_redirect_led() -> None:
    with pytest.raises(ToolFailed) as told:
        await _called(_Client((307, "https://other.test:444/orders?token=secret")))
    assert told.value.detail.endswith("The redirect led to https://other.test:444.")


async def test_a_write_that_is_redirected_in_circles_is_given_up() -> None:
    client = _Client(*[(307, "/v1/orders")] * 9)
    with pytest.raises(SmartSupportError, match="redirected this call"):
        await _called(client)
    assert len(client.sent) == 3
