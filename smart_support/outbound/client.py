"""The HTTP client for every request to other systems: API descriptions, tool calls, MCP servers, webhooks.

Checks the address of every request and redirect (address_policy.py), and limits the size of every unpacked
answer. No retries, no cookies, no proxies from the environment.
"""

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx
import httpx2

from smart_support.errors import (
    InvalidRequest,
    OutboundRefused,
    ResponseTooLarge,
    SmartSupportError,
    ToolFailed,
    ToolNotReached,
    ToolUnavailable,
)
from smart_support.observability.log import get_logger
from smart_support.outbound.address_policy import CheckedNetwork, Resolve, normalize_host

log = get_logger()

_SCHEMES = {"http", "https"}
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}  # RFC 9110, 9.2.1
_REDIRECTS = {301, 302, 303, 307, 308}
# Set for every request, whatever the caller passes: they decide where a request goes and where it ends.
_FRAMING = {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade"}
# Headers that may go to another origin. Any other header could be a credential.
_HARMLESS = {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
_GZIP_WINDOW = zlib.MAX_WBITS | 16
# The environment variables that name OpenSSL's files of trusted authorities.
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")
# Scheme, host, and port if it is not the scheme's own.
_Origin = tuple[str, str, int | None]


class ReadLimit:
    """Limits what is read of one answer, or of all answers of a session.

    Attributes:
        left: how many unpacked bytes may still be read.
    """

    def __init__(self, max_bytes: int, *, max_lines: int = 0, max_values: int = 0) -> None:
        """
        Args:
            max_lines: for streams in which every line causes work, such as events; 0 for no limit.
            max_values: of JSON, counted by its commas and brackets, because the shortest value takes a
                hundred times its two bytes in memory; 0 for no limit.
        """
        self._max_bytes, self._max_lines, self._max_values = max_bytes, max_lines, max_values
        self.left = max_bytes
        self._lines = self._values = 0

    def take(self, piece: bytes, host: str, *, lines: bool = False) -> None:
        """Count what was read. `lines`: count its lines too.

        Raises:
            ResponseTooLarge: it is over a limit.
        """
        self.left -= len(piece)
        if self.left < 0:
            raise ResponseTooLarge(
                f"The answer of {host} is over the {self._max_bytes:,} bytes that are allowed."
            )
        if self._max_values:
            self._values += sum(piece.count(mark) for mark in (b",", b"[", b"{"))
            if self._values > self._max_values:
                raise ResponseTooLarge(f"The answer of {host} has more than {self._max_values:,} values.")
        self._lines += piece.count(b"\n") if lines else 0
        if self._max_lines and self._lines > self._max_lines:
            raise ResponseTooLarge(
                f"The answer of {host} is over the {self._max_lines:,} lines that are allowed."
            )


@dataclass(frozen=True, slots=True)
class Fetched:
    """A complete answer.

    Attributes:
        headers: without `Content-Encoding` and `Content-Length` if `content` was unpacked.
        url: the address of the answer, after redirects.
    """

    status: int
    headers: httpx.Headers
    content: bytes
    url: str


class GuardedTransport(httpx2.AsyncBaseTransport):
    """The same checks as in `GuardedClient`, for libraries that use httpx2.

    Attributes:
        post_status: the status of the last answer to a POST, which carries a call; 0 before the first.
    """

    def __init__(
        self,
        allowed_hosts: Iterable[str],
        limit: ReadLimit,
        *,
        on_failure: Callable[[SmartSupportError], None],
        resolve: Resolve | None = None,
    ) -> None:
        """
        Args:
            allowed_hosts, resolve: as of `GuardedClient`.
            limit: for all answers together.
            on_failure: called with an error that must end the session, because a library may catch it.
        """
        self.post_status = 0
        self._limit = limit
        self._on_failure = on_failure
        self._pool = _pool(allowed_hosts, resolve)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request. The answer is unpacked while it is read.

        Raises:
            SmartSupportError, TimeoutError: as `GuardedClient.request`, also while the answer is read.
        """
        url, host = request.url, request.url.raw_host.decode("ascii")
        kept = [item for item in request.headers.raw if item[0].lower() != b"accept-encoding"]
        sent = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=[*kept, (b"Accept-Encoding", b"gzip")],
            content=request.stream,
            extensions={"timeout": request.extensions.get("timeout", {})},
        )
        with self._failures(host):
            answer = await self._pool.handle_async_request(sent)
        if request.method == "POST":
            self.post_status = answer.status
        headers = httpx.Headers(answer.headers)
        return httpx2.Response(
            answer.status,
            headers=_as_unpacked(headers).raw,
            stream=_Unpacked(self._pieces(host, answer, headers), answer),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _pieces(
        self, host: str, answer: httpcore.Response, headers: httpx.Headers
    ) -> AsyncIterator[bytes]:
        with self._failures(host):
            async for piece in _unpacked(host, answer.aiter_stream(), headers, self._limit):
                yield piece

    @contextmanager
    def _failures(self, host: str) -> Iterator[None]:
        try:
            with _translated_errors(host):
                yield
        except (OutboundRefused, ResponseTooLarge, ToolFailed) as error:
            self._on_failure(error)
            raise


class _Unpacked(httpx2.AsyncByteStream):
    """The unpacked body of an answer, for httpx2."""

    def __init__(
        self, pieces: AsyncIterator[bytes], inner: httpcore.Response | httpx2.AsyncByteStream
    ) -> None:
        self._pieces, self._inner = pieces, inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def limit_answer(response: httpx2.Response, max_bytes: int) -> None:
    """Limit the unpacked size of an answer. Call it before the answer is read.

    For clients whose address is an operator's setting, and which may use proxies: addresses are not checked.
    The request must accept no other encoding than gzip. Problems with the answer are raised as
    `httpx2.ReadError` while it is read.
    """
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    inner, headers, host = response.stream, httpx.Headers(response.headers.raw), response.request.url.host

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in _unpacked(host, inner, headers, ReadLimit(max_bytes)):
                yield piece
        except SmartSupportError as error:
            raise httpx2.ReadError(error.message) from error

    response.headers = httpx2.Headers(_as_unpacked(headers).raw)
    response.stream = _Unpacked(pieces(), inner)


class GuardedClient:
    """An HTTP client that connects to public addresses, and to other hosts if the operator allows them."""

    def __init__(self, allowed_hosts: Iterable[str] = (), *, resolve: Resolve | None = None) -> None:
        """Connections are opened when needed and kept for a few seconds.

        Args:
            allowed_hosts: entries as in `parse_allowed_hosts`; their addresses are not checked.
            resolve: returns a host's addresses; called once for each new connection.

        Raises:
            ValueError: an entry is neither `host` nor `host:port`.
        """
        self._pool = _pool(allowed_hosts, resolve)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        content: str | bytes | None = None,
        data: Mapping[str, Any] | None = None,
        files: Any = None,
        timeout_seconds: float = 30.0,
        max_bytes: int = 10_000_000,
        max_redirects: int = 5,
        redirect_origins: Collection[str] | None = None,
    ) -> Fetched:
        """Send one request and read the answer, whatever its status.

        A redirect to another origin is not followed with a body or an unsafe method, and never takes along a
        header that could be a credential.

        Args:
            params: added to the query that `url` has.
            content, data, files: the body, as httpx takes them.
            timeout_seconds: for everything together: name resolution, redirects and bodies.
            max_bytes: of the answer's body, unpacked.
            max_redirects: with 0 a redirect is returned as the answer.
            redirect_origins: where redirects may lead beside the URL's own origin, which includes https in
                place of http; any other redirect is returned as the answer. None for everywhere.

        Raises:
            InvalidRequest: the URL or a header can't be sent.
            OutboundRefused: an address is neither public nor allowed, or a redirect would carry a body or an
                unsafe method to another origin.
            ResponseTooLarge: the body is over `max_bytes`.
            ToolNotReached: no connection, unknown host name or untrusted certificate; nothing was sent.
            ToolUnavailable: the connection was lost.
            ToolFailed: too many redirects, or a body that can't be unpacked.
            TimeoutError: not done in `timeout_seconds`.
        """
        request = _request(method, url, headers, params, content=content, data=data, files=files)
        try:
            async with asyncio.timeout(timeout_seconds):
                await request.aread()
                allowed = None
                if redirect_origins is not None:
                    allowed = _own_origins(request.url) | {
                        _origin(httpx.URL(one)) for one in redirect_origins
                    }
                return await self._follow(request, max_bytes, max_redirects, allowed)
        except TimeoutError:
            raise TimeoutError(f"{_host(request.url)} did not answer within {timeout_seconds:g} s.") from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _follow(
        self,
        request: httpx.Request,
        max_bytes: int,
        max_redirects: int,
        allowed: Collection[_Origin] | None,
    ) -> Fetched:
        first = _host(request.url)
        for _ in range(max_redirects + 1):
            with _translated_errors(_host(request.url)):
                async with self._sent(request) as answer:
                    headers = httpx.Headers(answer.headers)
                    target = None
                    if max_redirects and answer.status in _REDIRECTS and "location" in headers:
                        target = _target(request, headers["location"])
                    if target is None or (allowed is not None and _origin(target) not in allowed):
                        body = await _body(_host(request.url), answer, headers, max_bytes)
                        return Fetched(answer.status, _as_unpacked(headers), body, str(request.url))
            request = _redirected(request, answer.status, target)
        raise ToolFailed(f"{first} redirects more than {max_redirects} times; use the final address.")

    def _sent(self, request: httpx.Request) -> AbstractAsyncContextManager[httpcore.Response]:
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        return self._pool.stream(
            request.method, target, headers=request.headers.raw, content=request.content or None
        )


def _pool(allowed_hosts: Iterable[str], resolve: Resolve | None) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        ssl_context=trusted_authorities(),
        max_connections=100,
        max_keepalive_connections=20,
        keepalive_expiry=5.0,
        network_backend=CheckedNetwork(allowed_hosts, resolve),
    )


def trusted_authorities() -> ssl.SSLContext:
    """A TLS context that trusts the public authorities, the machine's, and those of `SSL_CERT_FILE`."""
    return _tls_context(*(os.environ.get(name) for name in _TRUST))


@cache
def _tls_context(*_: str | None) -> ssl.SSLContext:
    """The trusted authorities. Loading takes a while; cached while `_TRUST` names the same files."""
    context = httpx.create_ssl_context(trust_env=False)
    # The machine's own authorities too, because internal hosts seldom have a public certificate.
    context.load_default_certs()
    return context


def _host(url: httpx.URL) -> str:
    # In ASCII, so that messages show no look-alike letters.
    return url.raw_host.decode("ascii")


def _origin(url: httpx.URL) -> _Origin:
    # RFC 6454; httpx leaves out the scheme's default port.
    return url.scheme, normalize_host(_host(url)), url.port


def _own_origins(url: httpx.URL) -> set[_Origin]:
    scheme, host, port = _origin(url)
    upgraded = {("https", host, port)} if scheme == "http" and port is None else set()
    return {(scheme, host, port)} | upgraded


def _request(
    method: str, url: str, headers: Mapping[str, str] | None, params: Mapping[str, Any] | None, **body: Any
) -> httpx.Request:
    try:
        address = _sendable(httpx.URL(url))
        address = address.copy_merge_params(params) if params else address
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"The URL can't be used: {error}.") from None
    try:
        merged = httpx.Headers({"Accept": "*/*", "User-Agent": "smart-support"})
        merged.update(headers)
        for name in _FRAMING:
            merged.pop(name, None)
        # The only encoding that is unpacked here.
        merged["Accept-Encoding"] = "gzip"
        return httpx.Request(method, address, headers=merged, **body)
    except UnicodeEncodeError:
        raise InvalidRequest("A header or the body holds characters that can't be sent.") from None


def _sendable(url: httpx.URL) -> httpx.URL:
    if url.scheme not in _SCHEMES:
        raise ValueError("it does not begin with http:// or https://")
    # `host` raises ValueError for a name that begins with xn-- and is not an internationalized one.
    if not url.host or "%" in url.host:
        raise ValueError("it has no host")
    if url.userinfo:
        raise ValueError("it holds a user name or password; put them into the credentials instead")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("its port is not between 1 and 65535")
    return url


def _target(request: httpx.Request, location: str) -> httpx.URL:
    """Where a redirect leads."""
    try:
        return _sendable(request.url.join(location))
    except (httpx.InvalidURL, ValueError):
        raise OutboundRefused(
            f"{_host(request.url)} redirects to an address that is not http or https, or has a user name; "
            "not followed."
        ) from None


def _redirected(request: httpx.Request, status: int, url: httpx.URL) -> httpx.Request:
    """The request that a redirect asks for (RFC 9110, 15.4), without what may not go there."""
    host = _host(request.url)
    method, body, left_out = request.method, request.content, set(_FRAMING)
    if status == 303 or (status in {301, 302} and method == "POST"):
        method, body = "HEAD" if method == "HEAD" else "GET", b""
        left_out |= {name for name in request.headers if name.startswith("content-")}
    if _origin(url) != _origin(request.url):
        if body or method not in _SAFE_METHODS:
            raise OutboundRefused(
                f"{host} redirects this {method} to another site, {_host(url)}; it was not sent there. "
                "Use the final address if that is where it belongs."
            )
        left_out |= {name for name in request.headers if name not in _HARMLESS}
    kept = [(name, value) for name, value in request.headers.multi_items() if name not in left_out]
    return httpx.Request(method, url, headers=kept, content=body or None)


@contextmanager
def _translated_errors(host: str) -> Iterator[None]:
    """Raise errors of httpcore as ours, with the host in the message and the cause in the log."""
    try:
        yield
    except httpcore.LocalProtocolError:
        raise InvalidRequest("A header or the method holds characters that HTTP does not allow.") from None
    except httpcore.TimeoutException:
        raise TimeoutError from None
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError) as error:
        log.info("outbound_failed", host=host, error=repr(error))
        # httpcore drops `__cause__`, but passes the cause as an argument.
        tls = any(isinstance(cause, ssl.SSLError) for cause in error.args)
        why = "no trusted TLS connection" if tls else "the connection failed"
        failure = ToolNotReached if isinstance(error, httpcore.ConnectError) else ToolUnavailable
        raise failure(f"{host} can't be reached just now: {why}.") from None


async def _body(host: str, answer: httpcore.Response, headers: httpx.Headers, max_bytes: int) -> bytes:
    pieces = _unpacked(host, answer.aiter_stream(), headers, ReadLimit(max_bytes))
    content = bytearray()
    async for piece in pieces:
        content += piece
    return bytes(content)


async def _unpacked(
    host: str, pieces: AsyncIterable[bytes], headers: httpx.Headers, limit: ReadLimit
) -> AsyncIterator[bytes]:
    """The unpacked body of an answer, in pieces and within the limit."""
    packing = headers.get("content-encoding", "identity").strip().lower()
    if packing not in {"identity", "", "gzip", "x-gzip"}:
        raise ToolFailed(f"The answer of {host} is encoded as {packing[:40]!r}, which was not requested.")
    gunzip = None if packing in {"identity", ""} else _Gunzip()
    events = headers.get("content-type", "").lower().startswith("text/event-stream")
    async for piece in pieces:
        try:
            content = gunzip.unpack(piece, limit.left + 1) if gunzip else piece
        except zlib.error:
            raise ToolFailed(f"The answer of {host} is not valid gzip.") from None
        limit.take(content, host, lines=events)
        yield content
    if gunzip and not gunzip.complete:
        raise ToolUnavailable(f"The answer of {host} is incomplete: the connection was lost.")


class _Gunzip:
    """Unpacks gzip (RFC 1952) in limited pieces, because 64 kB of it may hold 64 MB."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._begun = False

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """Up to `limit` bytes. If fewer, all of `packed` was used; otherwise the rest is dropped."""
        self._begun = True
        content = self._member.decompress(packed, limit)
        while len(content) < limit and self._member.eof and self._member.unused_data:
            rest, self._member = self._member.unused_data, zlib.decompressobj(_GZIP_WINDOW)
            content += self._member.decompress(rest, limit - len(content))
        return content

    @property
    def complete(self) -> bool:
        """Whether the last member is complete, or nothing was unpacked (an answer to HEAD)."""
        return self._member.eof or not self._begun


def _as_unpacked(headers: httpx.Headers) -> httpx.Headers:
    if "content-encoding" not in headers:
        return headers
    packed = {"content-encoding", "content-length"}
    return httpx.Headers([item for item in headers.multi_items() if item[0] not in packed])
