"""Credentials of imported APIs: kept encrypted, given to a call, never shown again."""

import contextlib
import os
from pathlib import Path
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken

from smart_support.connectors.openapi.document.operation import SecurityScheme
from smart_support.connectors.openapi.request.credentials import Credential
from smart_support.errors import ConfigError, ToolFailed
from smart_support.observability.log import hide
from smart_support.storage.state.base import StateDatabase


class Vault:
    """What admins entered, encrypted (Fernet: AES-128-CBC, HMAC-SHA256) under a key in its own file."""

    def __init__(self, state: StateDatabase, key_file: Path, key: str = "") -> None:
        """
        Args:
            key: in place of what is in the file, where machines share a system and not a folder.

        Raises:
            ConfigError: the key file is no key.
        """
        self._state = state
        try:
            self._fernet = Fernet(key or _key(key_file))
        except ValueError:
            raise ConfigError(
                f"{key_file}: is no key; put back the one that belongs to this data folder"
            ) from None

    async def keep(self, api: str, scheme: SecurityScheme, values: dict[str, str], home: str) -> None:
        """Keep the values for one scheme of an API, in place of what was there.

        Args:
            home: where the API is; they are given out for no other place, whatever a new description says.

        Raises:
            InvalidRequest: a value is missing or could not be sent.
        """
        Credential(scheme, values)
        _hide(values)
        kept = {"values": values, "home": home, "token_url": scheme.token_url}
        await self._state.execute(
            """INSERT INTO api_credentials (api, scheme, sealed) VALUES (:api, :scheme, :sealed)
               ON CONFLICT (api, scheme) DO UPDATE SET sealed = :sealed""",
            {"api": api, "scheme": scheme.name, "sealed": self._fernet.encrypt(orjson.dumps(kept))},
        )

    async def of(self, api: str, schemes: dict[str, SecurityScheme], home: str) -> dict[str, Credential]:
        """The credentials of an API that were entered for this place, by the name of their scheme.

        Raises:
            ToolFailed: what was kept can't be opened with the key that is there.
        """
        rows = await self._state.read(
            "SELECT scheme, sealed FROM api_credentials WHERE api = :api ORDER BY scheme", {"api": api}
        )
        opened = {row["scheme"]: self._opened(api, row["sealed"]) for row in rows if row["scheme"] in schemes}
        return {
            name: Credential(schemes[name], kept["values"])
            for name, kept in opened.items()
            if (kept["home"], kept["token_url"]) == (home, schemes[name].token_url)
        }

    def _opened(self, api: str, sealed: bytes) -> dict[str, Any]:
        try:
            kept: dict[str, Any] = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise ToolFailed(
                f"The credentials of {api} can't be opened; an admin has to enter them again in the API tab."
            ) from None
        _hide(kept.get("values", {}))
        # Those of before places were kept are entered again.
        return kept if "home" in kept else {"values": {}, "home": "", "token_url": ""}


def _hide(values: dict[str, str]) -> None:
    """Have the log know what it may never show."""
    for value in values.values():
        hide(value)


def _key(path: Path) -> bytes:
    """The key, made at the first start; only its owner can read the file."""
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(Fernet.generate_key())
    key = path.read_bytes().strip()
    hide(key.decode("ascii", "replace"))
    return key
