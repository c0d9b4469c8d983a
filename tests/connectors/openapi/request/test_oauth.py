"""Access tokens: fetched once for all who wait, kept until they end, fetched anew when refused."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import orjson
import pytest

from smart_support import clock
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.request.credentials import Credential
from smart_support.connectors.openapi.request.oauth import TokenSource
from smart_support.errors import ToolFailed
from smart_support.outbound.client import GuardedClient
from tests.support.loopback import guarded, loopback, reply

CLIENT, SECRET = "us:ers", "hunter2 &+é"


@dataclass
class Login:
    """A token server on loopback: gives `token-1`, `token-2`, ... or what a test wants it to answer."""

    port: int = 0
    lifetime: Any = 3600
    only_in_body: bool = False
    refusal: tuple[int, dict[str, Any]] | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = head.split("\r\n")[1:-2]
                headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
                form = await reader.readexactly(int(headers["content-length"]))
                status, said = self.answered(headers.get("authorization", ""), form.decode())
                content = orjson.dumps(said)
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answered(self, authorization: str, text: str) -> tuple[int, dict[str, Any]]:
        form = dict(parse_qsl(text))
        self.requests.append((authorization, form))
        if self.refusal:
            return self.refusal
        if authorization and self.only_in_body:
            return 401, {"error": "invalid_client", "error_description": f"what is {authorization}?"}
        client = _basic(authorization) if authorization else (form["client_id"], form["client_secret"])
        assert client == (CLIENT, SECRET)
        token = f"token-{len(self.requests)}"
        given = {"access_token": token, "token_type": "bearer", "expires_in": self.lifetime}
        return 200, {name: value for name, value in given.items() if value is not None}


def _basic(authorization: str) -> tuple[str, str]:
    name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    login = Login()
    server = await asyncio.start_server(login.serve, "127.0.0.1", 0)
    login.port = server.sockets[0].getsockname()[1]
    yield login
    server.close()


@pytest.fixture
async def source() -> AsyncIterator[TokenSource]:
    client = GuardedClient({"127.0.0.1"})
    yield TokenSource(client.request)
    await client.aclose()


def _credential(login: Login, *scopes: str, secret: str = SECRET) -> Credential:
    url = f"http://127.0.0.1:{login.port}/token"
    scheme = SecurityScheme(name="oauth", kind="oauth2", token_url=url, scopes=scopes)
    return Credential(scheme, {"client_id": CLIENT, "client_secret": secret})


async def test_twenty_calls_at_once_fetch_one_token(login: Login, source: TokenSource) -> None:
    credential = _credential(login)
    tokens = await asyncio.gather(*(source.token(credential) for _ in range(20)))
    assert set(tokens) == {"token-1"}
    assert len(login.requests) == 1


async def test_a_token_of_another_site_is_not_taken() -> None:
    body = b'{"access_token": "theirs", "token_type": "bearer"}'
    async with (
        guarded("login.test", "other.test") as client,
        loopback(lambda asked: reply(body=body)) as other,
        loopback(lambda asked: reply(302, location=f"http://other.test:{other.port}/token")) as login,
    ):
        url = f"http://login.test:{login.port}/token"
        scheme = SecurityScheme(name="oauth", kind="oauth2", token_url=url)
        credential = Credential(scheme, {"client_id": CLIENT, "client_secret": SECRET})
        with pytest.raises(ToolFailed) as told:
            await TokenSource(client.request).token(credential)
    assert other.connections == 0
    assert "redirects to another site (302)" in told.value.detail


async def test_a_token_is_asked_for_as_the_standard_says(login: Login, source: TokenSource) -> None:
    await source.token(_credential(login, "read", "write"))
    ((authorization, form),) = login.requests
    assert authorization.startswith("Basic ")
    assert form == {"grant_type": "client_credentials", "scope": "read write"}


async def test_a_token_is_kept_until_thirty_seconds_before_it_ends(login: Login, source: TokenSource) -> None:
    credential = _credential(login)
    await source.token(credential)
    clock.advance(3600 - 30 - 5)
    assert await source.token(credential) == "token-1"
    clock.advance(6)
    assert set(await asyncio.gather(*(source.token(credential) for _ in range(20)))) == {"token-2"}


@pytest.mark.parametrize(
    ("lifetime", "kept", "gone"),
    [
        ("600", 560, 20),
        (None, 260, 20),
        (1e30, 86_360, 20),
        ("soon", 260, 20),
        (20, 0, 0),
        (-1, 0, 0),
        ("NaN", 0, 0),
    ],
)
async def test_whatever_a_server_says_of_the_lifetime_is_made_use_of(
    login: Login, source: TokenSource, lifetime: Any, kept: float, gone: float
) -> None:
    login.lifetime = lifetime
    credential = _credential(login)
    await source.token(credential)
    if kept:
        clock.advance(kept)
        assert await source.token(credential) == "token-1"
    clock.advance(gone)
    assert await source.token(credential) == "token-2"


async def test_a_refused_token_is_fetched_anew_once_for_all_who_had_it(
    login: Login, source: TokenSource
) -> None:
    credential = _credential(login)
    old = await source.token(credential)
    renew = await asyncio.gather(*(source.renew(credential, old) for _ in range(20)))
    assert set(renew) == {"token-2"}
    assert await source.token(credential) == "token-2"
    assert len(login.requests) == 2


async def test_a_refused_token_is_not_given_again_when_its_renewal_fails(
    login: Login, source: TokenSource
) -> None:
    credential = _credential(login)
    old = await source.token(credential)
    login.refusal = (503, {})
    with pytest.raises(ToolFailed):
        await source.renew(credential, old)
    login.refusal = None
    assert await source.token(credential) == "token-3"


async def test_a_server_that_knows_the_secret_only_in_the_body_gets_it_there(
    login: Login, source: TokenSource
) -> None:
    login.only_in_body = True
    credential = _credential(login)
    assert await source.token(credential) == "token-2"
    assert await source.renew(credential, "token-2") == "token-3"
    # Which way works is remembered: nobody is locked out for failing again and again.
    assert [bool(authorization) for authorization, _ in login.requests] == [True, False, False]


async def test_other_scopes_and_a_new_secret_have_tokens_of_their_own(
    login: Login, source: TokenSource
) -> None:
    assert await source.token(_credential(login)) == "token-1"
    assert await source.token(_credential(login, "write")) == "token-2"
    login.refusal = (401, {"error": "invalid_client"})
    with pytest.raises(ToolFailed):
        await source.token(_credential(login, secret="new"))


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (
            401,
            {"error": "invalid_client"},
            r"refused the credentials \(401, invalid_client\); an admin can correct",
        ),
        (400, {"error": "invalid_scope"}, r"refused the credentials \(400, invalid_scope\)"),
        (400, {"error": f"who is {SECRET}?"}, r"refused the credentials \(400\)"),
        (400, {"error": ["unhashable"]}, r"refused the credentials \(400\)"),
        (503, {}, r"is unavailable \(503\); try again later"),
        (429, {}, r"is unavailable \(429\)"),
        (200, {}, "sent no valid access token"),
        (200, {"access_token": 7}, "sent no valid access token"),
        (200, {"access_token": "a\r\nX-Evil: 1"}, "sent no valid access token"),
        (200, {"access_token": "a", "token_type": "mac"}, "is not a bearer token"),
    ],
)
async def test_a_refusal_says_what_to_do_and_repeats_nothing_that_was_sent(
    login: Login, source: TokenSource, status: int, said: dict[str, Any], why: str
) -> None:
    login.refusal = (status, said)
    with pytest.raises(ToolFailed) as failed:
        await source.token(_credential(login))
    assert re.match(rf"The token endpoint of this API \(oauth\) .*{why}", failed.value.detail)
    told = failed.value.detail + failed.value.message
    assert SECRET not in told
    assert "127.0.0.1" not in told
    assert not re.search("token|credential|admin|API", failed.value.message)


async def test_a_server_that_can_not_be_reached_leaves_no_doubt_about_the_api(
    source: TokenSource, unused_tcp_port: int
) -> None:
    with pytest.raises(ToolFailed) as failed:
        await source.token(_credential(Login(port=unused_tcp_port)))
    assert "can't be reached; try again later" in failed.value.detail


async def test_who_gives_up_waiting_does_not_keep_the_others_from_a_token(
    login: Login, source: TokenSource
) -> None:
    credential = _credential(login)
    first, second = (asyncio.create_task(source.token(credential)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).startswith("token-")
    assert first.cancelled()
