"""Which names users and keys may have: no reserved names, and no two that look alike.

The audit trail identifies people by these names only, so that one name must never be mistaken for another.
"""

import re
from collections.abc import Sequence
from itertools import product

from smart_support.errors import ConfigError
from smart_support.identity.confusables import look_alikes

LOCAL_USER = "local user"
COMMAND_LINE = "command line"
ANONYMOUS = "anyone"
CUSTOMER = "customer"
# Actors of the audit trail that are not accounts.
RESERVED_NAMES = (LOCAL_USER, COMMAND_LINE, ANONYMOUS, "policy", "system", CUSTOMER, "someone", "nobody")
RESERVED_PREFIXES = ("agent:", "caller:")
# How the names of people of the identity provider end; see `single_sign_on/people.py`.
_SINGLE_SIGN_ON = re.compile(r"\( ?sso\b[^()]*\)?$")
# How the audit trail joins the names of two leads.
BOTH = " and "


class AccountNames:
    """The names of an installation, each with the place where it is configured."""

    def __init__(self) -> None:
        self._owner_of_key: dict[str, tuple[str, str]] = {}

    def add(self, name: str, where: str) -> None:
        """Add a name.

        Raises:
            ConfigError: it is reserved, or equals or looks like another one. Says which, and where that is.
        """
        keys = look_alikes(name)
        if reserved := _reserved(keys):
            raise ConfigError(f"{where}: the name {_shown(name)} is reserved ({reserved!r}); choose another")
        for key in sorted(keys & self._owner_of_key.keys()):
            other, there = self._owner_of_key[key]
            how = "is taken" if other == name else f"looks like {_shown(other)}"
            raise ConfigError(f"{where}: the name {_shown(name)} {how} (see {there}); rename one of the two")
        self._owner_of_key |= dict.fromkeys(keys, (name, where))

    def check_pairs(self) -> None:
        """Check that no name equals several others joined, as the audit trail joins who approves together.

        Raises:
            ConfigError: one does.
        """
        for name, where in dict(self._owner_of_key.values()).items():
            words = name.split(BOTH)
            for place in range(1, len(words)):
                first, rest = BOTH.join(words[:place]), self._joined(words[place:])
                if self._exists(first) and rest:
                    others = [first, *rest]
                    count = "two" if len(others) == 2 else len(others)
                    listed = " and ".join(map(repr, others))
                    raise ConfigError(
                        f"{where}: the name {name!r} reads as {count} others, {listed}; rename it"
                    )

    def _joined(self, words: Sequence[str]) -> list[str]:
        """Names that give these words when they are joined; empty where there are none."""
        if self._exists(whole := BOTH.join(words)):
            return [whole]
        for place in range(1, len(words)):
            first, rest = BOTH.join(words[:place]), self._joined(words[place:])
            if self._exists(first) and rest:
                return [first, *rest]
        return []

    def _exists(self, name: str) -> bool:
        return not look_alikes(name).isdisjoint(self._owner_of_key)


def _reserved(keys: frozenset[str]) -> str | None:
    """The reserved name that a name with these keys looks like, whatever its punctuation."""
    for key, reserved in product(keys, RESERVED_NAMES):
        if _letters(key) in {_letters(other) for other in look_alikes(reserved)}:
            return reserved
    for key, prefix in product(keys, RESERVED_PREFIXES):
        if "".join(key.split()).startswith(tuple(look_alikes(prefix))):
            return f"{prefix}..."
    if any(_SINGLE_SIGN_ON.search(key) for key in keys):
        return "... (SSO)"
    return None


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _shown(name: str) -> str:
    """A name for an error message: as written, and with its non-ASCII characters escaped."""
    return repr(name) if name.isascii() else f"{name!r} ({name!a})"
