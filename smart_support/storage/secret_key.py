"""The secret key of a data folder: what the app encrypts and signs with."""

import contextlib
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.fernet import Fernet

from smart_support.observability.log import hide


def secret_key(path: Path) -> bytes:
    """Read the key, or create it at the first start; only its owner can read the file."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
    key = path.read_bytes().strip()
    hide(key.decode("ascii", "replace"))
    return key


def derived_key(key: bytes, purpose: str) -> bytes:
    """A key for one purpose, from which neither the key nor that of another purpose can be learned."""
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
