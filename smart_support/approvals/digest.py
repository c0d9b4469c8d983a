"""The digest of a call, computed when it is approved and again before it is executed."""

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from smart_support.canonical_json import canonical
from smart_support.errors import InvalidArguments


def digest(
    *, tool: str, version: str | None, args: Mapping[str, Any], thread_id: str, customer_id: str | None
) -> str:
    """SHA-256 over the canonical JSON (RFC 8785) of everything that decides what a call does.

    Returns:
        `sha256:` and 64 hexadecimal digits.

    Raises:
        InvalidArguments: the arguments hold a number that JSON can't carry exactly (beyond 2**53, NaN).
    """
    bound = {
        "tool": tool,
        "version": version,
        "args": dict(args),
        "thread_id": thread_id,
        "customer_id": customer_id,
    }
    try:
        return "sha256:" + hashlib.sha256(canonical(bound)).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidArguments(f"{tool}: arguments can't be written as exact JSON: {error}") from None
