"""Identity: who is at a door, and what they may do. The same at every door.

Users have a password, programs a key; neither is kept, only their hashes. Without any of them everyone on
this machine is one and the same. How a door asks is its own business.
"""

import asyncio
import contextlib
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import MovingWindowRateLimiter
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from smart_support import clock
from smart_support.errors import ConfigError, Forbidden
from smart_support.identity.account_names import LOCAL_USER, AccountNames
from smart_support.identity.confusables import look_alikes
from smart_support.observability.redaction import hide
from smart_support.storage.state.base import StateDatabase

LOGIN_SECONDS = 12 * 3600
# How soon an open socket ends after its login has, where that ended by age or in another process.
RECHECK_SECONDS = 30.0
HASHES_AT_ONCE = 2  # each takes 64 MiB
TRIES_OF_A_NAME = RateLimitItemPerMinute(5)
TRIES_OF_AN_ADDRESS = RateLimitItemPerMinute(30)  # whole offices have one
MIN_KEY_CHARS = 8
_HASHED_KEY = re.compile(r"sha256[:$]([0-9a-f]{64})")
_passwords = PasswordHasher()  # its defaults: argon2id after RFC 9106


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    OPERATOR = 1
    LEAD = 2
    ADMIN = 3


ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who has been recognised.

    Attributes:
        is_person: whether it is a user of the users file, and not an API key.
    """

    name: str
    role: Role
    is_person: bool = True

    def must_be(self, role: Role) -> None:
        """Raise `Forbidden` unless they have at least this role."""
        if self.role < role:
            raise Forbidden(
                f"{self.name} is {self.role.name.lower()}; this is for the role {role.name.lower()} and above"
            )


ANYONE = User(LOCAL_USER, Role.ADMIN)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    password_hash: str = Field(validation_alias=AliasChoices("password_hash", "password", "hash"))
    role: str


@dataclass(frozen=True, slots=True)
class Account:
    """A user or a key as the record of changes knows it. `credential`: a hash of the hash that is kept."""

    name: str
    role: str
    is_person: bool
    credential: str


class Accounts:
    """Who there is: the users of `USERS_FILE` and the keys of `API_KEYS`.

    Attributes:
        names: all their names; no two of them look alike.
    """

    def __init__(self, users_file: Path | None, api_keys: str) -> None:
        """
        Raises:
            ConfigError: the file or a key is wrong; says where and what to do.
        """
        self._hashes: dict[str, str] = {}
        self._users: dict[str, User] = {}
        self._keys: dict[str, User] = {}
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self.names = AccountNames()
        for entry in _read(users_file) if users_file else ():
            self._add_user(users_file, entry)
        for place, text in enumerate(filter(None, (part.strip() for part in api_keys.split(","))), start=1):
            self._add_key(place, text)
        if users_file and not self._users:
            # Nobody to ask would mean that everybody is let in.
            raise ConfigError(
                f"{users_file}: there is nobody in it; add somebody with "
                "python -m smart_support users add NAME --role ROLE"
            )
        self.names.check_pairs()

    @property
    def asked_for(self) -> bool:
        """Whether anybody has to say who they are."""
        return bool(self._users)

    def named(self, name: str | None) -> User | None:
        """The user or key of that name; everybody, where nobody is asked."""
        return self._users.get(name or "") if self.asked_for else ANYONE

    def with_key(self, key: str) -> User | None:
        """Whose key it is."""
        user = self._keys.get(_digest(key))
        if user:
            hide(key)
        return user

    @property
    def people_who_decide(self) -> list[str]:
        """The names of the users who may decide approvals; keys are none."""
        return [user.name for user in self._users.values() if user.is_person and user.role >= Role.LEAD]

    def may_vote(self, name: str) -> bool:
        """Whether somebody's approval counts as one of the two that a `two_leads` rule needs.

        It counts for a user of the users file with the role lead or admin, as the file is now. An API key is
        no person. Where nobody logs in, everybody on the machine is the local user, who has one vote.
        """
        return not self.asked_for or name in self.people_who_decide

    def person(self, name: str) -> str:
        """The person behind a name: for a key called `USER/ANYTHING` that user, else the name itself."""
        user = self._users.get(name)
        if user is not None and user.is_person:
            return name
        owner = look_alikes(name.partition("/")[0])
        return next(
            (one for one, user in self._users.items() if user.is_person and look_alikes(one) & owner), name
        )

    def is_same_person(self, one: str, other: str) -> bool:
        """Whether two names stand for one person: they look alike, or one is the other's key."""
        return bool(look_alikes(self.person(one)) & look_alikes(self.person(other)))

    def known(self) -> dict[str, "Account"]:
        """Every user and key by name, for the record of changes."""
        credentials = self._hashes | {user.name: digest for digest, user in self._keys.items()}
        return {
            name: Account(name, user.role.name.lower(), user.is_person, _digest(credentials.get(name, "")))
            for name, user in self._users.items()
        }

    def credential(self, name: str) -> str:
        """What changes when somebody's password does; empty for who has none."""
        return self._hashes.get(name, "")

    async def with_password(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs. Takes as long for a name that does not exist."""
        known = self._hashes.get(name)
        # Somebody else's for a name that does not exist: it takes as long, and what comes of it is not used.
        tried = known or next(iter(self._hashes.values()), "")
        async with self._hashing:
            right = await asyncio.to_thread(_verified, tried, password)
        return self._users[name] if known and right else None

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
        self._users[name] = User(name, _role(where, role), is_person=False)
        self._keys[hashed[1] if hashed else _digest(key)] = self._users[name]


class Tries:
    """How often somebody may try to log in: so many times a minute with a name, and from an address."""

    def __init__(self, rates: Storage) -> None:
        """`rates`: where tries are counted."""
        self._limiter = MovingWindowRateLimiter(rates)

    async def one_more(self, name: str, address: str) -> bool:
        """Count a try; whether it may be made."""
        return await asyncio.to_thread(self._hit, name, address)

    async def forget(self, name: str) -> None:
        """Somebody has shown the password of that name: what was tried before does not count."""
        await asyncio.to_thread(self._limiter.clear, TRIES_OF_A_NAME, "login-name", name)

    def _hit(self, name: str, address: str) -> bool:
        of_name = self._limiter.hit(TRIES_OF_A_NAME, "login-name", name)
        of_address = self._limiter.hit(TRIES_OF_AN_ADDRESS, "login-address", address)
        return bool(of_name and of_address)


class Logins:
    """Who has logged in with a browser; a token is kept as its hash only, and for twelve hours.

    It is bound to the password it was given for: a new one ends what was begun with the old.
    """

    def __init__(self, state: StateDatabase, accounts: Accounts) -> None:
        self._state = state
        self._accounts = accounts
        self._used: dict[str, set[asyncio.Event]] = {}

    async def begin(self, user: User) -> str:
        """A new token for somebody who has shown their password."""
        token, now = f"{secrets.token_urlsafe(32)}.{quote(user.name, safe='')}", clock.now().timestamp()
        await self._state.execute("DELETE FROM logins WHERE expires_at <= :now", {"now": now})
        await self._state.execute(
            "INSERT INTO logins (token_hash, name, expires_at) VALUES (:hash, :name, :until)",
            {"hash": self._kept(token), "name": user.name, "until": now + LOGIN_SECONDS},
        )
        return token

    async def name(self, token: str) -> str | None:
        """Whose token it is, or None where it is nobody's any more."""
        rows = await self._state.read(
            "SELECT name FROM logins WHERE token_hash = :hash AND expires_at > :now",
            {"hash": self._kept(token), "now": clock.now().timestamp()},
        )
        return str(rows[0]["name"]) if rows else None

    async def end(self, token: str) -> None:
        """Forget a token, and end what is open with it."""
        hashed = self._kept(token)
        await self._state.execute("DELETE FROM logins WHERE token_hash = :hash", {"hash": hashed})
        for over in self._used.get(hashed, ()):
            over.set()

    async def until_over(self, token: str) -> None:
        """Return once a token is nobody's any more: at once after `end`, else within `RECHECK_SECONDS`."""
        hashed, over = self._kept(token), asyncio.Event()
        self._used.setdefault(hashed, set()).add(over)
        try:
            while await self.name(token):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), RECHECK_SECONDS)
        finally:
            self._used[hashed].discard(over)
            if not self._used[hashed]:
                del self._used[hashed]

    def _kept(self, token: str) -> str:
        name = unquote(token.partition(".")[2])
        return _digest(f"{token}:{self._accounts.credential(name)}")


def hashed(password: str) -> str:
    """A password as a users file keeps it (argon2id, RFC 9106)."""
    return _passwords.hash(password)


def new_key() -> tuple[str, str]:
    """A key for a program, and how `API_KEYS` keeps it."""
    key = secrets.token_urlsafe(32)
    return key, f"sha256:{_digest(key)}"


def _verified(known: str, password: str) -> bool:
    try:
        return _passwords.verify(known, password)
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def _digest(secret: str) -> str:
    # Keys and tokens are long and random, so that a plain hash is enough (unlike for passwords).
    return hashlib.sha256(secret.encode()).hexdigest()


def _role(where: str, text: str) -> Role:
    if text.lower() not in ROLES:
        raise ConfigError(f"{where}: role {text!r} is not one of {', '.join(ROLES)}")
    return ROLES[text.lower()]


def _named(path: Path | None) -> str:
    return f"SMART_SUPPORT_USERS_FILE={path}"


def _read(path: Path) -> Iterable[_Entry]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        listed = content.get("users") if isinstance(content, dict) else content
        return TypeAdapter(list[_Entry]).validate_python(listed)
    except OSError as error:
        raise ConfigError(
            f"SMART_SUPPORT_USERS_FILE={path}: can't be read: {error.strerror}; make it with "
            "python -m smart_support users add NAME --role ROLE"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{_named(path)}: is not YAML: {error}") from None
    except ValidationError as error:
        told = error.errors()[0]
        where = ".".join(str(part) for part in told["loc"])
        raise ConfigError(
            f"{_named(path)}: {where or 'the file'}: {told['msg']}; it is a list of name, password_hash "
            "and role"
        ) from None
