"""Hashes of passwords for tests: of the same kind as an operator's, and ten thousand times as cheap."""

import functools

from argon2 import PasswordHasher

_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@functools.cache
def hash_password(password: str) -> str:
    """The hash of a password for a users file."""
    return _HASHER.hash(password)
