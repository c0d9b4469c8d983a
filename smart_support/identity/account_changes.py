"""Audits, at each start, which users and keys were added, changed or removed since the last start."""

from collections.abc import Iterator, Mapping
from typing import Any

from smart_support import audit
from smart_support.identity.users import Account
from smart_support.storage.state.base import Connection, StateDatabase


async def record_account_changes(state: StateDatabase, accounts: Mapping[str, Account]) -> None:
    """Compare the users and keys with those of the last start, and write an audit row for each difference."""

    def work(connection: Connection) -> None:
        rows = connection.execute("SELECT * FROM known_accounts")
        before = {
            row["name"]: Account(row["name"], row["role"], bool(row["is_person"]), row["credential"])
            for row in rows
        }
        for kind, detail in _changes(before, accounts):
            audit.append(connection, kind, actor="system", via="start", detail=detail)
        if before != accounts:
            connection.execute("DELETE FROM known_accounts")
            for one in accounts.values():
                connection.execute(
                    "INSERT INTO known_accounts VALUES (:name, :role, :is_person, :credential)",
                    {
                        "name": one.name,
                        "role": one.role,
                        "is_person": int(one.is_person),
                        "credential": one.credential,
                    },
                )

    await state.transact(work)


def _changes(
    before: Mapping[str, Account], after: Mapping[str, Account]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and detail of each change. Of a credential the detail only says whether it changed."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        detail: dict[str, Any] = {"name": name}
        for suffix, one in (("_before", old), ("", new)):
            if one:
                detail |= {f"role{suffix}": one.role, f"is_person{suffix}": one.is_person}
        if old and new:
            detail |= {"has_new_credential": old.credential != new.credential}
        yield ("account_changed" if old and new else "account_added" if new else "account_removed"), detail
