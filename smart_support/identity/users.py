"""Users, API keys and their roles.

Users have a password, programs have a key; only hashes of both are kept. Without users and keys, everybody on
this machine is the same local user, with the role admin.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from smart_support.errors import ConfigError, Forbidden
from smart_support.identity.account_names import LOCAL_USER, AccountNames
from smart_support.identity.confusables import look_alikes
from smart_support.observability.redaction import hide

MAX_PARALLEL_HASHES = 2  # each takes 64 MiB
MIN_KEY_CHARS = 8
_HASHED_KEY = re.compile(r"sha256[:$]([0-9a-f]{64})")
_passwords = PasswordHasher()  # its defaults: argon2id after RFC 9106


class Role(IntEnum):
    """What a user may do. Each role from `OPERATOR` on may do what the roles before it may.

    `AGENT` is for the keys of API clients: it reaches the actions and MCP, and nothing else.
    """

    AGENT = 0
    OPERATOR = 1
    LEAD = 2
    ADMIN = 3


# The roles of people, and those of keys.
ROLES = {role.name.lower(): role for role in Role if role is not Role.AGENT}
KEY_ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user or API key.

    Attributes:
        is_person: a user of the users file or the identity provider, and not an API key.
        display_name: what the person is called, where that is not the name; never an identity.
    """

    name: str
    role: Role
    is_person: bool = True
    display_name: str = ""

    def must_be(self, role: Role) -> None:
        """Raise `Forbidden` unless the user has at least this role."""
        if self.role < role:
            raise Forbidden(
                f"{self.name} is {self.role.name.lower()}; this is for the role {role.name.lower()} and above"
            )


ANYONE = User(LOCAL_USER, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logs in with the identity provider.

    Attributes:
        name: given once, unique, ends in `(SSO)`.
        issuer, subject: who it is; nothing else identifies a person.
        aliases: what else the provider calls the person.
        role: as of the last login; None where no group has one.
    """

    name: str
    display_name: str
    issuer: str
    subject: str
    aliases: tuple[str, ...]
    role: Role | None
    groups: frozenset[str]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    password_hash: str = Field(validation_alias=AliasChoices("password_hash", "password", "hash"))
    role: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    users: list[_Entry]
    groups: dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], list[str]] = Field(
        default_factory=dict
    )


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a key as the audit of account changes stores it. `credential`: a hash of the stored hash."""

    name: str
    role: str
    is_person: bool
    credential: str


class Accounts:
    """The users of `USERS_FILE`, the keys of `API_KEYS`, and the people of the identity provider.

    Attributes:
        names: the names of users and keys; no two of them look alike.
        has_passwords: whether there is a users file, so that people log in with a password.
        issuer: the identity provider's; empty where there is none.
    """

    def __init__(self, users_file: Path | None, api_keys: str, issuer: str = "") -> None:
        """
        Args:
            issuer: `SMART_SUPPORT_OIDC_ISSUER`.

        Raises:
            ConfigError: the file or a key is wrong; says where and what to do.
        """
        self._hashes: dict[str, str] = {}
        self._users: dict[str, User] = {}
        self._keys: dict[str, User] = {}
        self._people: dict[str, Person] = {}
        self.has_passwords, self.issuer = users_file is not None, issuer
        self._hashing = asyncio.Semaphore(MAX_PARALLEL_HASHES)
        self.names = AccountNames()
        file = _read(users_file) if users_file else _File(users=[])
        for entry in file.users:
            self._add_user(users_file, entry)
        self._groups = {name: frozenset(members) for name, members in file.groups.items()}
        for name, members in file.groups.items():
            if unknown := sorted(set(members) - self._users.keys()):
                raise ConfigError(
                    f"{_named(users_file)}: groups.{name}: {', '.join(map(repr, unknown))}: there is no such "
                    "user in this file; an API key can't be in a group"
                )
        for place, text in enumerate(filter(None, (part.strip() for part in api_keys.split(","))), start=1):
            self._add_key(place, text)
        if users_file and not self._users:
            # Without any user nobody would have to log in.
            raise ConfigError(
                f"{users_file}: it lists no user; add one with "
                "python -m smart_support users add NAME --role ROLE"
            )
        self.names.check_pairs()

    @property
    def is_login_required(self) -> bool:
        """Whether there are users, keys or an identity provider, so that everybody has to log in."""
        return bool(self._users or self.issuer)

    @property
    def users(self) -> list[User]:
        """All users and keys."""
        return [*self._users.values()]

    def named(self, name: str | None) -> User | None:
        """The user, key or person of that name; the local user where no login is required."""
        if not self.is_login_required:
            return ANYONE
        if person := self._person_with_role(name or ""):
            assert person.role is not None
            return User(person.name, person.role, display_name=person.display_name)
        return self._users.get(name or "")

    def remember(self, people: Iterable[Person]) -> None:
        """Know people of the identity provider as they are stored now."""
        self._people |= {person.name: person for person in people}

    def identity_of(self, name: str) -> dict[str, str] | None:
        """Issuer and subject of a person of the identity provider; None for others."""
        person = self._people.get(name)
        return {"issuer": person.issuer, "subject": person.subject} if person else None

    def with_key(self, key: str) -> User | None:
        """The owner of an API key."""
        user = self._keys.get(digest_of(key))
        if user:
            hide(key)
        return user

    @property
    def decider_names(self) -> list[str]:
        """The names of the users (not the keys) that may decide approvals."""
        return [user.name for user in self._users.values() if user.is_person and user.role >= Role.LEAD]

    def may_vote(self, name: str) -> bool:
        """Whether somebody's approval counts as one of the two that a `two_leads` rule needs.

        It counts for a user of the users file with the role lead or admin, as the file is now, for a person
        of the identity provider with such a role at the last login, and not for an API key. Where no login
        is required, everybody is the local user, who has one vote.
        """
        if not self.is_login_required:
            return True
        person = self._person_with_role(name)
        return name in self.decider_names or (person is not None and (person.role or 0) >= Role.LEAD)

    def is_in_group(self, name: str, group: str) -> bool:
        """Whether somebody's approval counts as one of a group: a member with the role lead or admin."""
        person = self._people.get(name)
        members = person.groups if person else frozenset[str]()
        return (name in self._groups.get(group, ()) or group in members) and self.may_vote(name)

    def person(self, name: str) -> str:
        """The person of a name: for a key called `USER/ANYTHING` that user, else the name itself."""
        user = self._users.get(name)
        if user is not None and user.is_person:
            return name
        owner = look_alikes(name.partition("/")[0])
        return next(
            (one for one, user in self._users.items() if user.is_person and look_alikes(one) & owner), name
        )

    def is_same_person(self, one: str, other: str) -> bool:
        """Whether two names belong to one person: they look alike, or one is a key of the other.

        Two people of the identity provider are one if they are the same subject. Whether a person and a user
        of the users file are one is not known; they count as one if the provider calls the person by the
        user's name, so that nobody approves their own request by logging in in the other way.
        """
        if one in self._people and other in self._people:
            return one == other
        return bool(self._looks_of(one) & self._looks_of(other))

    def _looks_of(self, name: str) -> frozenset[str]:
        if person := self._people.get(name):
            return frozenset().union(*map(look_alikes, (name, *person.aliases)))
        owner = name.partition("/")[0] if self._people else name
        return look_alikes(self.person(name)) | look_alikes(owner)

    def _person_with_role(self, name: str) -> Person | None:
        """The person of that name, if their provider is the configured one and gives them a role."""
        person = self._people.get(name)
        if person is None or person.role is None or person.issuer.rstrip("/") != self.issuer.rstrip("/"):
            return None
        return person

    def known(self) -> dict[str, "Account"]:
        """Every user and key by name, for the audit of account changes."""
        credentials = self._hashes | {user.name: digest for digest, user in self._keys.items()}
        return {
            name: Account(name, user.role.name.lower(), user.is_person, digest_of(credentials.get(name, "")))
            for name, user in self._users.items()
        }

    def credential(self, name: str) -> str:
        """A text that changes with the user's password; empty for accounts without one."""
        return self._hashes.get(name, "")

    async def with_password(self, name: str, password: str) -> User | None:
        """The user, if the password is right. Takes equally long for a name that does not exist."""
        known = self._hashes.get(name)
        # For an unknown name, verify another user's hash, so that it takes as long. The result is not used.
        candidate = known or next(iter(self._hashes.values()), "")
        async with self._hashing:
            is_right = await asyncio.to_thread(_verified, candidate, password)
        return self._users[name] if known and is_right else None

    def _add_user(self, path: Path | None, entry: _Entry) -> None:
        self.names.add(entry.name, _named(path))
        try:
            _passwords.check_needs_rehash(entry.password_hash)
        except InvalidHashError:
            raise ConfigError(
                f"{_named(path)}: the password of {entry.name!r} is no argon2 hash; make one with "
                "python -m smart_support users add NAME --role ROLE"
            ) from None
        self._users[entry.name] = User(entry.name, _role(f"{path}: {entry.name!r}", entry.role))
        self._hashes[entry.name] = entry.password_hash

    def _add_key(self, place: int, text: str) -> None:
        where = f"SMART_SUPPORT_API_KEYS: key {place}"
        name, role, key = text.split(":", 2) if text.count(":") >= 2 else (f"key {place}", "admin", text)
        hashed = _HASHED_KEY.fullmatch(key)
        if not hashed and len(key) < MIN_KEY_CHARS:
            raise ConfigError(f"{where}: {len(key)} characters are too few; write name:role:key, at least 8")
        self.names.add(name, where)
        self._users[name] = User(name, _role(where, role, KEY_ROLES), is_person=False)
        self._keys[hashed[1] if hashed else digest_of(key)] = self._users[name]


def hash_password(password: str) -> str:
    """The hash of a password for a users file (argon2id, RFC 9106)."""
    return _passwords.hash(password)


def new_key() -> tuple[str, str]:
    """A new API key, and its hash as `API_KEYS` takes it."""
    key = secrets.token_urlsafe(32)
    return key, f"sha256:{digest_of(key)}"


def _verified(known: str, password: str) -> bool:
    try:
        return _passwords.verify(known, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def digest_of(secret: str) -> str:
    """The SHA-256 of a key or token, in hexadecimal: the form in which they are stored."""
    # Keys and tokens are long and random, so that a fast hash is enough (unlike for passwords).
    return hashlib.sha256(secret.encode()).hexdigest()


def _role(where: str, text: str, roles: Mapping[str, Role] = ROLES) -> Role:
    if text.lower() not in roles:
        raise ConfigError(f"{where}: role {text!r} is not one of {', '.join(roles)}")
    return roles[text.lower()]


def _named(path: Path | None) -> str:
    return f"SMART_SUPPORT_USERS_FILE={path}"


def _read(path: Path) -> _File:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _File.model_validate(content if isinstance(content, dict) else {"users": content})
    except OSError as error:
        raise ConfigError(
            f"SMART_SUPPORT_USERS_FILE={path}: can't be read: {error.strerror}; make it with "
            "python -m smart_support users add NAME --role ROLE"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{_named(path)}: is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{_named(path)}: {where or 'the file'}: {first['msg']}; it is a list of name, password_hash "
            "and role"
        ) from None
