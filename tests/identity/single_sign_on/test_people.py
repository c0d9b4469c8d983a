"""Who somebody from the identity provider is: never a user of the users file, and never somebody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smart_support.errors import ConfigError
from smart_support.identity.account_names import AccountNames
from smart_support.identity.single_sign_on.people import people_of, profile_of, record_login
from smart_support.identity.users import Accounts, Person, Role
from smart_support.storage.state.base import StateDatabase
from tests.support.stores import state_of

ISSUER = "https://login.example"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    database = state_of(tmp_path)
    yield database
    database.close()


async def _log_in(state: StateDatabase, subject: str, role: Role | None = Role.LEAD, **claims: Any) -> Person:
    given = {"iss": ISSUER, "sub": subject, **claims}
    return await record_login(state, profile_of(given, role, ["refunds"]), {})


async def test_a_person_is_a_subject_whatever_the_name(state: StateDatabase) -> None:
    first = await _log_in(state, "u-1", preferred_username="alice")
    second = await _log_in(state, "u-2", preferred_username="alice")
    look_alike = await _log_in(state, "u-3", preferred_username="\u0430lice")
    renamed = await _log_in(state, "u-1", preferred_username="alice.jones", name="Alice Jones")
    elsewhere = await _log_in(state, "u-1", iss="https://other.example", preferred_username="alice")
    assert [one.name for one in (first, second, look_alike, renamed, elsewhere)] == [
        "alice (SSO)",
        "alice (SSO 2)",
        "\u0430lice (SSO 3)",
        "alice (SSO)",
        "alice (SSO 4)",
    ]
    assert renamed.display_name == "Alice Jones"
    assert len(await people_of(state)) == 4


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "dana", "email": "d@acme.example", "name": "Dana"}, "dana (SSO)"),
        ({"email": "d@acme.example", "name": "Dana"}, "d@acme.example (SSO)"),
        ({"name": "Dana Lee and Kim"}, "Dana_Lee_and_Kim (SSO)"),
        ({}, "u-1 (SSO)"),
        ({"preferred_username": "da\u202ena\n\x00<b>"}, "da_na_<b> (SSO)"),
        ({"preferred_username": ["dana"], "email": 7}, "u-1 (SSO)"),
        ({"preferred_username": "x" * 300}, f"{'x' * 80} (SSO)"),
    ],
)
async def test_the_name_is_one_word_that_can_be_read(
    state: StateDatabase, claims: dict[str, Any], name: str
) -> None:
    assert (await _log_in(state, "u-1", **claims)).name == name


@pytest.mark.parametrize(
    "name", ["dana (SSO)", "dana (sso 2)", "dana \uff08SSO\uff09", "dana(SSO)", "dana (SSO) "]
)
def test_users_and_keys_can_t_have_such_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="reserved"):
        AccountNames().add(name, "here")


@pytest.mark.parametrize("name", ["Picasso", "dana sso", "dana (support)"])
def test_other_names_stay_allowed(name: str) -> None:
    AccountNames().add(name, "here")


async def test_an_approval_counts_by_the_groups_of_the_provider(state: StateDatabase) -> None:
    accounts = Accounts(None, "ci:lead:a-long-key", ISSUER)
    lead = await _log_in(state, "u-1", preferred_username="dana")
    operator = await _log_in(state, "u-2", Role.OPERATOR, preferred_username="kim")
    nobody = await _log_in(state, "u-3", None, preferred_username="mo")
    stranger = await _log_in(state, "u-4", iss="https://other.example", preferred_username="eve")
    accounts.remember([lead, operator, nobody, stranger])
    people = (lead, operator, nobody, stranger)
    assert [accounts.may_vote(one.name) for one in people] == [True, False, False, False]
    assert [accounts.is_in_group(one.name, "refunds") for one in people] == [True, False, False, False]
    assert [accounts.named(one.name) is not None for one in people] == [True, True, False, False]
    assert not accounts.is_in_group("dana", "refunds")
    assert accounts.identity_of("dana (SSO)") == {"issuer": ISSUER, "subject": "u-1"}
    # Without a provider nobody of them can do anything.
    alone = Accounts(None, "ci:lead:a-long-key")
    alone.remember([lead])
    assert alone.named("dana (SSO)") is None
    assert not alone.may_vote("dana (SSO)")


async def test_who_counts_as_one_person(state: StateDatabase) -> None:
    accounts = Accounts(None, "dana/bot:lead:a-long-key,kim:lead:another-key", ISSUER)
    dana = await _log_in(state, "u-1", preferred_username="d.lee", email="Dana@acme.example")
    twin = await _log_in(state, "u-2", preferred_username="d.lee")
    accounts.remember([dana, twin])
    assert accounts.is_same_person(dana.name, dana.name)
    assert not accounts.is_same_person(dana.name, twin.name)
    # The provider calls her dana too, by her address.
    assert accounts.is_same_person(dana.name, "dana/bot")
    assert accounts.is_same_person("dana", dana.name)
    assert not accounts.is_same_person(twin.name, "dana/bot")
    assert not accounts.is_same_person(dana.name, "kim")
