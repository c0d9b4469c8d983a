"""The people who log in with the identity provider: who they are, and the name they have here.

A person is an issuer and a subject. The name in approvals and in the audit trail is given once, ends in
`(SSO)`, and is nobody else's: users and keys can't have such a name, and a second person with a look-alike
name gets a number.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from smart_support import audit, clock
from smart_support.identity.confusables import look_alikes
from smart_support.identity.users import Person, Role
from smart_support.storage.state.base import Connection, Row, StateDatabase, in_clause

MAX_LABEL_CHARS = 80
_INSERT = """
    INSERT INTO single_sign_on_people
        (issuer, subject, name, display_name, aliases, role, groups, logged_in_at)
    VALUES (:issuer, :subject, :name, :display_name, :aliases, :role, :groups, :at)
"""
_UPDATE = """
    UPDATE single_sign_on_people
    SET display_name = :display_name, aliases = :aliases, role = :role, groups = :groups, logged_in_at = :at
    WHERE issuer = :issuer AND subject = :subject
"""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the provider says of a person at a login."""

    issuer: str
    subject: str
    label: str
    display_name: str
    aliases: tuple[str, ...]
    role: Role | None
    groups: tuple[str, ...]


def profile_of(claims: Mapping[str, Any], role: Role | None, groups: Collection[str]) -> Profile:
    """A profile from the claims of a verified ID token."""
    texts = {name: _clean(claims.get(name)) for name in ("preferred_username", "email", "name")}
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    label = texts["preferred_username"] or texts["email"] or texts["name"] or _clean(subject) or "somebody"
    aliases = [*texts.values(), texts["email"].partition("@")[0], label]
    return Profile(
        issuer=issuer,
        subject=subject,
        # Without spaces, because the audit trail joins two names with " and ".
        label="_".join(label.split())[:MAX_LABEL_CHARS],
        display_name=texts["name"] or label,
        aliases=tuple(dict.fromkeys(filter(None, aliases))),
        role=role,
        groups=tuple(groups),
    )


async def people_of(state: StateDatabase) -> list[Person]:
    """Everybody who has logged in with a provider."""
    return [person_of(row) for row in await state.read("SELECT * FROM single_sign_on_people")]


def people_named(connection: Connection, names: Iterable[str]) -> list[Person]:
    """Those of these names who log in with a provider, as they are stored now."""
    clause, params = in_clause("name", names)
    rows = connection.execute(f"SELECT * FROM single_sign_on_people WHERE name IN {clause}", params)
    return [person_of(row) for row in rows]


async def record_login(state: StateDatabase, profile: Profile, detail: Mapping[str, Any]) -> Person:
    """Store what the provider says, and audit the login, or its refusal where there is no role.

    Args:
        detail: further facts for the audit row, such as the client's address.
    """
    return await state.transact(lambda connection: _record(connection, profile, detail))


def person_of(row: Row) -> Person:
    """A person from a row of the table."""
    return Person(
        name=row["name"],
        display_name=row["display_name"],
        issuer=row["issuer"],
        subject=row["subject"],
        aliases=tuple(orjson.loads(row["aliases"])),
        role=Role[row["role"].upper()] if row["role"] else None,
        groups=frozenset(orjson.loads(row["groups"])),
    )


def _record(connection: Connection, profile: Profile, detail: Mapping[str, Any]) -> Person:
    identity = {"issuer": profile.issuer, "subject": profile.subject}
    rows = connection.execute(
        "SELECT * FROM single_sign_on_people WHERE issuer = :issuer AND subject = :subject", identity
    )
    name = rows[0]["name"] if rows else _new_name(connection, profile.label)
    role = profile.role.name.lower() if profile.role is not None else None
    stored = {
        **identity,
        "display_name": profile.display_name,
        "aliases": orjson.dumps(profile.aliases).decode(),
        "role": role,
        "groups": orjson.dumps(profile.groups).decode(),
        "at": clock.rfc3339(clock.now()),
    }
    connection.execute(_UPDATE if rows else _INSERT, stored | ({} if rows else {"name": name}))
    now = {**identity, "role": role, "groups": list(profile.groups)}
    if not rows:
        audit.append(connection, "account_added", actor="system", via="login", detail={"name": name, **now})
    elif (rows[0]["role"], rows[0]["groups"]) != (stored["role"], stored["groups"]):
        before = {"role_before": rows[0]["role"], "groups_before": orjson.loads(rows[0]["groups"])}
        changed = {"name": name, **now, **before}
        audit.append(connection, "account_changed", actor="system", via="login", detail=changed)
    kind = "logged_in" if role else "login_refused"
    why = {} if role else {"reason": "no_role"}
    audit.append(connection, kind, actor=name, via="login", detail={**now, **why, **detail})
    (row,) = connection.execute("SELECT * FROM single_sign_on_people WHERE name = :name", {"name": name})
    return person_of(row)


def _new_name(connection: Connection, label: str) -> str:
    taken = {
        key
        for row in connection.execute("SELECT name FROM single_sign_on_people")
        for key in look_alikes(row["name"])
    }
    number = 1
    while True:
        name = f"{label} (SSO)" if number == 1 else f"{label} (SSO {number})"
        if look_alikes(name).isdisjoint(taken):
            return name
        number += 1


def _clean(value: Any) -> str:
    """A claim as one line of visible text; empty where it is none."""
    if not isinstance(value, str):
        return ""
    text = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in value[:500])
    return re.sub(" +", " ", text).strip()
