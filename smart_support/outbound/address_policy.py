"""Which addresses a request may go to: public ones, and the hosts that the operator allows."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpcore
import httpx

from smart_support.errors import OutboundRefused, ToolNotReached
from smart_support.observability.log import get_logger

log = get_logger()

Resolve = Callable[[str, int], Awaitable[list[str]]]

# Entries of the special-purpose registries (RFC 6890, IANA) that Python 3.11 calls global: protocol
# assignments, 6to4 relays, Teredo (2001::/32) and its neighbours, documentation, 6to4.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# IANA's range for global unicast. It excludes addresses that embed an IPv4 address: mapped (::ffff:0:0/96),
# compatible (::/96) and NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")

_ALLOWED = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|\w[\w.-]*)(?::(?P<port>\d{1,5}))?", re.IGNORECASE)
_CONNECT_SECONDS = 5.0


def parse_allowed_hosts(text: str) -> frozenset[str]:
    """The entries of `SMART_SUPPORT_ALLOWED_HOSTS`, normalized.

    Args:
        text: `host` (every port) or `host:port` (that port only), separated by commas or spaces. IPv6
            addresses are in brackets. Case and a trailing dot make no difference.

    Raises:
        ValueError: an entry is neither; the message names it.
    """
    return frozenset(_allowed_entry(entry) for entry in re.split(r"[,\s]+", text) if entry)


def host_and_port(url: str) -> str:
    """The entry of `parse_allowed_hosts` for exactly the host and the port of a URL."""
    address = httpx.URL(url)
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port or (443 if address.scheme == 'https' else 80)}"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet (IANA's special-purpose registries, RFC 6890)."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_V6:
        return False
    return not any(ip in network for network in _SPECIAL)


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once, checks every address, and connects to one of the checked addresses.

    httpcore still uses the name for `Host`, for TLS and as the key of pooled connections.
    """

    def __init__(self, allowed_hosts: Iterable[str], resolve: Resolve | None) -> None:
        """Arguments and errors as of `GuardedClient`."""
        self._allowed = frozenset(map(_allowed_entry, allowed_hosts))
        self._resolve = resolve or _look_up
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._checked(host, port)
        for address in addresses[:-1]:
            try:
                # An address that does not answer must leave time for the next.
                return await self._network.connect_tcp(
                    address, port, _CONNECT_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError) as error:
            log.info("host_not_resolved", host=host, error=repr(error))
            addresses = []
        if not addresses:
            raise ToolNotReached(f"{host} can't be found: its name has no address now.")
        name = normalize_host(host)
        if name in self._allowed or f"{name}:{port}" in self._allowed:
            return addresses
        if not all(map(is_public, addresses)):
            log.warning("outbound_refused", host=host, port=port)
            raise OutboundRefused(
                f"{host} is not on the public internet, so nothing was sent. If it is meant to be reached, "
                f"add {name}:{port} to SMART_SUPPORT_ALLOWED_HOSTS."
            )
        return addresses


async def _look_up(host: str, port: int) -> list[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in infos]


def _allowed_entry(entry: str) -> str:
    wrong = ValueError(f"{entry!r} is neither host nor host:port, for example api.internal:8080")
    match = _ALLOWED.fullmatch(entry)
    if not match or not 0 < int(match["port"] or 1) < 65536:
        raise wrong
    try:
        host = normalize_host(httpx.URL(scheme="http", host=match["host"]).raw_host.decode())
    except httpx.InvalidURL:
        raise wrong from None
    return f"{host}:{int(match['port'])}" if match["port"] else host


def normalize_host(host: str) -> str:
    """A host in the form for comparisons: lower case, no trailing dot, IPv6 compressed and in brackets."""
    host = host.lower().removesuffix(".")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[{ip}]" if ip.version == 6 else host
