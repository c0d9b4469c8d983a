"""From which devices and networks each user has logged in before."""

import ipaddress
import secrets

from smart_support import clock
from smart_support.identity.users import Accounts, digest_of
from smart_support.storage.state.base import StateDatabase

DEVICE_SECONDS = 180 * 86_400
_NETWORK_SECONDS = 30 * 86_400
_INSERT = """
    INSERT INTO known_logins (mark, expires_at) VALUES (:mark, :until)
    ON CONFLICT (mark) DO UPDATE SET expires_at = excluded.expires_at
"""


class KnownLogins:
    """Remembers the device (a random token in a cookie) and the network of each login, as hashes.

    A new password makes all of a user's devices and networks unknown.
    """

    def __init__(self, state: StateDatabase, accounts: Accounts) -> None:
        self._state = state
        self._accounts = accounts

    async def is_known(self, name: str, device: str | None, address: str) -> tuple[bool, bool]:
        """Whether the user has logged in with this device, and whether from this network.

        Takes equally long for a name that does not exist.
        """
        marks = {"device": self._mark(name, f"device {device}"), "network": self._network(name, address)}
        rows = await self._state.read(
            "SELECT mark FROM known_logins WHERE mark IN (:device, :network) AND expires_at > :now",
            {**marks, "now": clock.now().timestamp()},
        )
        known_marks = {row["mark"] for row in rows}
        return device is not None and marks["device"] in known_marks, marks["network"] in known_marks

    async def remember(self, name: str, device: str | None, address: str) -> str:
        """Remember a login. Returns the device's token: a new one if the user did not log in with it before.

        A token that somebody else put into the browser is thus never trusted.
        """
        is_device_known, _ = await self.is_known(name, device, address)
        token = device if device and is_device_known else secrets.token_urlsafe(32)
        now = clock.now().timestamp()
        await self._state.execute("DELETE FROM known_logins WHERE expires_at <= :now", {"now": now})
        for mark, seconds in (
            (self._mark(name, f"device {token}"), DEVICE_SECONDS),
            (self._network(name, address), _NETWORK_SECONDS),
        ):
            await self._state.execute(_INSERT, {"mark": mark, "until": now + seconds})
        return token

    def _network(self, name: str, address: str) -> str:
        return self._mark(name, f"network {network(address)}")

    def _mark(self, name: str, what: str) -> str:
        return digest_of(f"{what} {name}:{self._accounts.credential(name)}")


def network(address: str) -> str:
    """The network that one client can have: its IPv4 address, or the first 64 bits of its IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
