"""Passwords: whose they are, and that a stranger learns nothing by waiting. Doors are tried in e2e."""

import time
from pathlib import Path

import pytest

from smart_support.identity.users import Accounts, hash_password


def _accounts(folder: Path) -> Accounts:
    file = folder / "users.yaml"
    file.write_text(f"- {{name: dana, role: lead, password_hash: '{hash_password('correct horse')}'}}\n")
    return Accounts(file, "")


@pytest.mark.slow
async def test_a_name_that_does_not_exist_has_nobodys_password(tmp_path: Path) -> None:
    accounts = _accounts(tmp_path)
    assert await accounts.with_password("dana", "correct horse")
    for name, password in (("nobody", "correct horse"), ("", "correct horse"), ("dana", "wrong horse")):
        assert await accounts.with_password(name, password) is None


@pytest.mark.slow
async def test_a_name_that_does_not_exist_takes_as_long(tmp_path: Path) -> None:
    accounts = _accounts(tmp_path)

    async def seconds(name: str) -> float:
        """The least of three: nothing else makes it shorter."""
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            await accounts.with_password(name, "wrong horse")
            taken.append(time.perf_counter() - began)
        return min(taken)

    # Without hashing anything it is a thousandth.
    assert 0.1 < await seconds("nobody") / await seconds("dana") < 10


async def test_with_keys_alone_no_password_lets_anybody_in() -> None:
    assert await Accounts(None, "ci:lead:" + "k" * 40).with_password("ci", "k" * 40) is None
