"""Guessing a password is slow, and whoever guesses locks nobody out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from limits.storage import MemoryStorage

from smart_support.identity.known_logins import KnownLogins, network
from smart_support.identity.throttle import LoginThrottle, Verdict
from smart_support.identity.users import Accounts
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.passwords import hash_password

CHECK, WARN, REFUSE = Verdict.CHECK, Verdict.WARN, Verdict.REFUSE
HOME, CAFE, STRANGER = "192.0.2.1", "198.51.100.1", "203.0.113.1"
HASHES = [hash_password(one) for one in ("a password", "another password")]


class _Places:
    """One database, and the throttles of the processes that share it."""

    def __init__(self, folder: Path) -> None:
        self.state = SqliteStateDatabase(folder / "state.sqlite")
        self._rates, self._users = MemoryStorage(), folder / "users.yaml"

    def process(self, hashed: str = HASHES[0]) -> tuple[LoginThrottle, KnownLogins]:
        self._users.write_text(yaml.safe_dump([{"name": "lee", "role": "lead", "password_hash": hashed}]))
        known = KnownLogins(self.state, Accounts(self._users, ""))
        return LoginThrottle(self._rates, known), known


@pytest.fixture
def places(tmp_path: Path) -> Iterator[_Places]:
    made = _Places(tmp_path)
    yield made
    made.state.close()


async def _tries(throttle: LoginThrottle, count: int, name: str = "lee", address: str = "") -> list[Verdict]:
    """Attempts of a stranger; without an address, each comes from another one."""
    return [
        await throttle.judge(name, address or f"100.64.{number // 200}.{number % 200}", None)
        for number in range(count)
    ]


async def test_a_right_password_counts_after_five_wrong_ones(places: _Places) -> None:
    throttle, _ = places.process()
    assert await _tries(throttle, 6, address=STRANGER) == [CHECK] * 5 + [WARN]
    assert await throttle.judge("lee", STRANGER, None) is WARN
    assert await throttle.judge("lee", HOME, None) is WARN
    await throttle.reset("lee", HOME, None)
    assert await throttle.judge("lee", HOME, None) is CHECK


async def test_a_stranger_s_network_is_refused_and_no_other(places: _Places) -> None:
    throttle, _ = places.process()
    verdicts = await _tries(throttle, 60, address=STRANGER)
    assert len([one for one in verdicts if one is not REFUSE]) == 15
    assert await throttle.judge("lee", HOME, None) is WARN
    verdicts = [await throttle.judge(f"name-{number}", CAFE, None) for number in range(60)]
    assert verdicts == [CHECK] * 30 + [REFUSE] * 30


async def test_from_all_networks_few_passwords_are_checked(places: _Places) -> None:
    throttle, known = places.process()
    device = await known.remember("lee", None, HOME)
    verdicts = await _tries(throttle, 300)
    assert len([one for one in verdicts if one is not REFUSE]) == 100
    assert await throttle.judge("lee", CAFE, None) is REFUSE
    # The user still comes in from where they have been before.
    assert await throttle.judge("lee", CAFE, device) is CHECK
    assert await throttle.judge("lee", HOME, None) is WARN


async def test_a_device_has_its_own_limit(places: _Places) -> None:
    throttle, known = places.process()
    device = await known.remember("lee", None, HOME)
    tries = [await throttle.judge("lee", CAFE, device) for _ in range(30)]
    assert tries == [CHECK] * 15 + [WARN] * 10 + [REFUSE] * 5
    await throttle.reset("lee", CAFE, device)
    assert await throttle.judge("lee", CAFE, device) is CHECK
    # It is the user's device, and no other user's.
    assert await known.is_known("mia", device, HOME) == (False, False)


async def test_the_processes_of_one_database_count_together(places: _Places) -> None:
    (first, known), (second, _) = places.process(), places.process()
    device = await known.remember("lee", None, HOME)
    verdicts = await _tries(first, 10, address=STRANGER) + await _tries(second, 10, address=STRANGER)
    assert len([one for one in verdicts if one is not REFUSE]) == 15
    assert await second.judge("lee", STRANGER, device) is CHECK


async def test_a_name_without_an_account_is_treated_alike(places: _Places) -> None:
    throttle, _ = places.process()
    known = await _tries(throttle, 120, "lee")
    assert await _tries(throttle, 120, "nobody-of-that-name") == known


async def test_a_token_from_elsewhere_is_not_taken_over(places: _Places) -> None:
    _, known = places.process()
    planted = "a-token-that-somebody-knows"
    assert await known.remember("lee", planted, HOME) != planted
    assert await known.is_known("lee", planted, CAFE) == (False, False)
    own = await known.remember("lee", None, HOME)
    assert await known.remember("lee", own, CAFE) == own


async def test_a_new_password_makes_every_place_unknown(places: _Places) -> None:
    _, known = places.process()
    device = await known.remember("lee", None, HOME)
    assert await known.is_known("lee", device, HOME) == (True, True)
    _, changed = places.process(HASHES[1])
    assert await changed.is_known("lee", device, HOME) == (False, False)
    rows = await places.state.read("SELECT * FROM known_logins")
    assert rows
    assert not [row for row in rows if device in str(row) or HOME in str(row) or "lee" in str(row)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::4", True),
        ("2001:db8:1:2::3", "2001:db8:1:3::3", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "unix", False),
    ],
)
def test_a_network_is_what_one_client_can_have(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
