"""A real HTTP server on loopback, in the test's own loop: answers as told and remembers what it was asked."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smart_support.outbound.address_policy import Resolve
from smart_support.outbound.client import GuardedClient


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    target: str
    headers: httpx.Headers
    body: bytes


Answer = Callable[[Asked], bytes | Iterable[bytes] | None]


@dataclass
class Loopback:
    """What a server saw. An answer of None keeps the caller waiting."""

    answer: Answer
    port: int = 0
    connections: int = 0
    asked: list[Asked] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """Server names (SNI) of TLS connections."""

    open: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on one connection until it ends."""
        self.connections += 1
        self.open[asyncio.current_task()] = writer
        try:
            while True:
                await self._serve_one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            del self.open[asyncio.current_task()]
            writer.close()

    async def hang_up(self) -> None:
        """End every connection that is still open."""
        for writer in self.open.values():
            writer.transport.abort()
        await asyncio.gather(*filter(None, self.open))

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = httpx.Headers([tuple(line.split(": ", 1)) for line in lines])
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append(Asked(method, target, headers, body))
        answer = self.answer(self.asked[-1])
        if answer is None:
            await reader.readexactly(1)
        for part in [answer] if isinstance(answer, bytes) else answer or ():
            writer.write(part)
            await writer.drain()


@asynccontextmanager
async def loopback(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Loopback]:
    """A server on a free port of 127.0.0.1; with TLS where `tls` is given."""
    served = Loopback(answer)
    if tls:
        tls.sni_callback = lambda _socket, name, _context: served.names.append(name)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await served.hang_up()


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """An answer as it goes over the wire; `content_type="x"` becomes `content-type: x`."""
    lines = [f"HTTP/1.1 {status} Told", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def certificate(name: str, folder: Path) -> Path:
    """A file with a new key and its certificate for `name`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


def tls_server(certificate: Path) -> ssl.SSLContext:
    """A server's side of TLS with a file of `certificate()`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def to_loopback(host: str, port: int) -> list[str]:
    """A resolver by which every name leads to loopback."""
    return ["127.0.0.1"]


@asynccontextmanager
async def guarded(*allowed: str, resolve: Resolve | None = to_loopback) -> AsyncIterator[GuardedClient]:
    """A client by which every name leads to loopback, closed in the end."""
    client = GuardedClient(allowed, resolve=resolve)
    try:
        yield client
    finally:
        await client.aclose()
