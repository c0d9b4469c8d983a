"""The guarded client as a client: what goes out, sizes, time, TLS, and what it says of failures."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from pathlib import Path

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.errors import (
    InvalidRequest,
    ResponseTooLarge,
    SmartSupportError,
    ToolFailed,
    ToolNotReached,
    ToolUnavailable,
)
from smart_support.outbound.client import GuardedClient
from tests.support.loopback import Asked, certificate, guarded, loopback, reply, tls_server

SECRETS = {
    "Authorization": "Bearer secret",
    "Cookie": "session=secret",
    "X-API-Key": "secret",
    "X-Anything": "secret",
}


async def _nothing(host: str, port: int) -> list[str]:
    return []


# One for all that is sent nowhere: it opens no connection, and trusted certificates take long to load.
NOWHERE = GuardedClient(resolve=_nothing)


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    """May reach shop.test and partner.test, which are both on loopback."""
    async with guarded("shop.test", "partner.test") as client:
        yield client


async def test_a_request_goes_out_as_it_was_given(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(404, b'{"no": 1}', content_type="application/json")) as shop:
        answer = await client.request(
            "POST",
            f"http://SHOP.test:{shop.port}/a b?x=1",
            params={"q": "ü&", "n": 2},
            headers=SECRETS | {"Host": "evil.test", "Content-Length": "999", "Accept-Encoding": "br"},
            content=b"body",
        )
    assert (answer.status, answer.content, answer.headers["content-type"]) == (
        404,
        b'{"no": 1}',
        "application/json",
    )
    assert answer.url == f"http://shop.test:{shop.port}/a%20b?x=1&q=%C3%BC%26&n=2"
    asked = shop.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", "/a%20b?x=1&q=%C3%BC%26&n=2", b"body")
    assert asked.headers["host"] == f"shop.test:{shop.port}"
    assert asked.headers["accept-encoding"] == "gzip"
    assert {name: asked.headers[name] for name in SECRETS} == SECRETS


async def test_forms_and_files_are_sent(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply()) as shop:
        url = f"http://shop.test:{shop.port}/"
        await client.request("POST", url, data={"a": "1", "b": ["2", "3"]})
        await client.request("PUT", url, data={"a": "1"}, files={"file": ("n.txt", b"text", "text/plain")})
        await client.request("POST", url)
    form, upload, empty = shop.asked
    assert form.body == b"a=1&b=2&b=3"
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert b'filename="n.txt"' in upload.body
    assert upload.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert empty.headers["content-length"] == "0"


async def test_connections_are_kept_and_cookies_are_not(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(set_cookie="session=theirs")) as shop:
        for _ in range(3):
            await client.request("GET", f"http://shop.test:{shop.port}/")
    assert shop.connections == 1
    assert all("cookie" not in asked.headers for asked in shop.asked)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://shop.test/", "gopher://shop.test/", "shop.test/path", "/path", ""),
        *("http://", "http:///path", "http://user:pass@shop.test/", "http://user@shop.test", "http://[::1/"),
        *("http://shop.test:0/", "http://shop.test:65536/", "http://shop.test:x/", "http://shop.test/\n"),
        *(
            "http://0177.0.0.1/",
            "http://１２７.0.0.1/",
            "data:text/plain,x",
            "http://shop.test/" + "x" * 70_000,
        ),
    ],
)
async def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await NOWHERE.request("GET", url)
    assert "pass@" not in refused.value.message


@pytest.mark.parametrize(
    "headers", [{"X-A": "a\r\nX-B: b"}, {"X A": "a"}, {"X-A": "ü"}, {"X-A\r\nX-B": "a"}, {"X-A": "a\0"}]
)
async def test_a_header_that_is_none_is_refused(headers: dict[str, str], client: GuardedClient) -> None:
    async with loopback(lambda asked: reply()) as shop:
        with pytest.raises(InvalidRequest, match="A header"):
            await client.request("GET", f"http://shop.test:{shop.port}/", headers=headers)
    assert shop.asked == []


async def test_a_method_that_is_none_is_refused(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply()) as shop:
        with pytest.raises(InvalidRequest, match="the method"):
            await client.request("GET / HTTP/1.1\r\nX-A: a", f"http://shop.test:{shop.port}/")
    assert shop.asked == []


async def test_an_answer_is_read_up_to_its_limit(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply(body=b"x" * 1000)) as shop:
        url = f"http://shop.test:{shop.port}/"
        assert len((await client.request("GET", url, max_bytes=1000)).content) == 1000
        with pytest.raises(ResponseTooLarge, match=r"shop.test is over the 999 bytes"):
            await client.request("GET", url, max_bytes=999)


async def test_an_answer_without_end_is_cut_off(client: GuardedClient) -> None:
    endless = [b"HTTP/1.1 200 OK\r\n\r\n", *repeat(b"x" * 65_536, 10_000)]
    async with loopback(lambda asked: endless) as shop:
        with pytest.raises(ResponseTooLarge):
            await client.request("GET", f"http://shop.test:{shop.port}/", max_bytes=1_000_000)


@pytest.mark.parametrize("members", [1, 3])
async def test_gzip_is_unpacked_and_counted_unpacked(members: int, client: GuardedClient) -> None:
    packed = gzip.compress(b"x" * 1000, mtime=0) * members
    async with loopback(lambda asked: reply(body=packed, content_encoding="GZIP", x_other="y")) as shop:
        url = f"http://shop.test:{shop.port}/"
        answer = await client.request("GET", url, max_bytes=1000 * members)
        assert answer.content == b"x" * 1000 * members
        assert dict(answer.headers) == {"x-other": "y"}
        with pytest.raises(ResponseTooLarge):
            await client.request("GET", url, max_bytes=1000 * members - 1)


async def test_a_gzip_bomb_is_not_unpacked(client: GuardedClient) -> None:
    bomb = gzip.compress(bytes(100_000_000), 9, mtime=0)
    async with loopback(lambda asked: reply(body=bomb, content_encoding="gzip")) as shop:
        tracemalloc.start()
        try:
            with pytest.raises(ResponseTooLarge):
                await client.request("GET", f"http://shop.test:{shop.port}/", max_bytes=100_000)
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("packing", "body", "error"),
    [
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-4], ToolUnavailable),
        ("gzip", b"plain", ToolFailed),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), ToolFailed),
        ("br", b"\x0b\x02\x80hello\x03", ToolFailed),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_no_answer(
    packing: str, body: bytes, error: type[SmartSupportError], client: GuardedClient
) -> None:
    async with loopback(lambda asked: reply(body=body, content_encoding=packing)) as shop:
        with pytest.raises(error, match=r"\bshop\.test "):
            await client.request("GET", f"http://shop.test:{shop.port}/")


@pytest.mark.parametrize(
    "answer", [reply()[:10], b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_an_answer_that_breaks_off_is_said_plainly(answer: bytes, client: GuardedClient) -> None:
    def broken(asked: Asked) -> Iterator[bytes]:
        yield answer
        raise ConnectionError

    async with loopback(broken) as shop:
        with pytest.raises(
            ToolUnavailable, match=r"^shop.test can't be reached just now: the connection failed"
        ) as failed:
            await client.request("GET", f"http://shop.test:{shop.port}/")
    assert not failed.value.nothing_done


async def test_a_failure_after_a_redirect_names_where_it_was(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply()) as gone:
        pass
    async with loopback(lambda asked: reply(302, location=f"http://partner.test:{gone.port}/")) as shop:
        with pytest.raises(ToolUnavailable, match=r"^partner\.test can't be reached"):
            await client.request("GET", f"http://shop.test:{shop.port}/")


async def test_a_closed_port_is_said_plainly(client: GuardedClient) -> None:
    async with loopback(lambda asked: reply()) as shop:
        pass
    with pytest.raises(ToolNotReached) as failed:
        await client.request("GET", f"http://shop.test:{shop.port}/?key=secret")
    assert failed.value.message == "shop.test can't be reached just now: the connection failed."


async def test_the_time_limit_is_for_everything_together(client: GuardedClient) -> None:
    def slow(asked: Asked) -> bytes | None:
        return None if asked.target == "/end" else reply(302, location="/end")

    async with loopback(slow) as shop:
        with pytest.raises(TimeoutError, match=r"shop.test did not answer within 0.2 s"):
            await client.request("GET", f"http://shop.test:{shop.port}/", timeout_seconds=0.2)
        assert len(shop.asked) == 2


async def test_a_look_up_counts_towards_the_time_limit() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(TimeoutError, match=r"shop.test"):
        await GuardedClient(resolve=never).request("GET", "http://shop.test/", timeout_seconds=0.05)


async def test_a_connection_that_the_system_gives_up_is_a_time_out(
    client: GuardedClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectTimeout

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", silent)
    with pytest.raises(TimeoutError, match=r"shop\.test did not answer"):
        await client.request("GET", "http://shop.test/")


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with loopback(lambda asked: reply(body=b"proxy")) as proxy, loopback(lambda asked: reply()) as shop:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with guarded("shop.test") as client:
            assert (await client.request("GET", f"http://shop.test:{shop.port}/")).content == b""
    assert (proxy.connections, len(shop.asked)) == (0, 1)


async def test_tls_and_host_keep_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = certificate("shop.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    answer = reply(body=b"safe")
    async with guarded("shop.test") as client, loopback(lambda asked: answer, tls_server(trusted)) as shop:
        assert (await client.request("GET", f"https://shop.test:{shop.port}/")).content == b"safe"
    assert shop.names == ["shop.test"]
    assert shop.asked[0].headers["host"] == f"shop.test:{shop.port}"


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, client: GuardedClient
) -> None:
    async with loopback(lambda asked: reply(), tls_server(certificate("shop.test", tmp_path))) as shop:
        with pytest.raises(ToolUnavailable) as failed:
            await client.request("GET", f"https://shop.test:{shop.port}/")
    assert failed.value.message == "shop.test can't be reached just now: no trusted TLS connection."
    assert shop.asked == []


async def test_a_trusted_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = certificate("shop.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with (
        guarded("partner.test") as client,
        loopback(lambda asked: reply(), tls_server(trusted)) as shop,
    ):
        with pytest.raises(ToolUnavailable, match=r"partner\.test .* no trusted TLS connection"):
            await client.request("GET", f"https://partner.test:{shop.port}/")
    assert shop.asked == []


async def test_a_spoilt_tls_record_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = certificate("shop.test", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    def spoil() -> None:
        secured = tls_server(trusted).wrap_socket(listening.accept()[0], server_side=True)
        secured.recv(65_536)
        with socket.socket(fileno=secured.detach()) as bare:
            bare.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            bare.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        spoilt = asyncio.create_task(asyncio.to_thread(spoil))
        async with guarded("shop.test") as client:
            with pytest.raises(ToolUnavailable, match=r"^shop\.test can't be reached just now"):
                await client.request("GET", f"https://shop.test:{listening.getsockname()[1]}/")
        await spoilt


@given(st.text(max_size=30), st.sampled_from(["http://", "http://xn--", "https://[", "http://a:", "//", ""]))
async def test_whatever_the_url_the_error_is_one_of_ours(rest: str, start: str) -> None:
    with pytest.raises(SmartSupportError):
        await NOWHERE.request("GET", start + rest)
