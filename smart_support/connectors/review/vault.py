"""Stores the credentials of imported APIs, encrypted. They are used for calls and never shown again."""

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import orjson
from cryptography.fernet import Fernet, InvalidToken

from smart_support.connectors.mcp_document import MCP_SCHEMES, TOKEN
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.request.credentials import UNAVAILABLE, Credential
from smart_support.connectors.review.base_urls import origin_of
from smart_support.errors import ConfigError, ToolFailed
from smart_support.observability.log import hide
from smart_support.storage.secret_key import secret_key
from smart_support.storage.state.base import StateDatabase


class Vault:
    """Credentials, encrypted with Fernet (AES-128-CBC, HMAC-SHA256) under a key in its own file."""

    def __init__(self, state: StateDatabase, key_file: Path, key: str = "") -> None:
        """
        Args:
            key: used instead of the file, for systems whose machines share no folder.

        Raises:
            ConfigError: the file does not contain a key.
        """
        self._state = state
        try:
            self._fernet = Fernet(key or secret_key(key_file))
        except ValueError:
            raise ConfigError(
                f"{key_file}: not a valid key; restore the key file of this data folder"
            ) from None

    async def store(
        self, api: str, scheme: SecurityScheme, values: dict[str, str], origin: str, *, review: str = ""
    ) -> None:
        """Store the values for one scheme of an API; replaces the previous ones.

        Args:
            origin: where the API is. The values are never sent anywhere else, even if a new description
                names another server.
            review: the job in whose review they were entered. Until it is approved, they count only there.

        Raises:
            InvalidRequest: a value is missing or can't be sent.
        """
        Credential(scheme, values)
        _hide(values)
        sealed = {"values": values, "home": origin, "token_url": scheme.token_url}
        row = {"scheme": scheme.name, "sealed": self._fernet.encrypt(orjson.dumps(sealed))}
        if review:
            await self._state.execute(
                """INSERT INTO review_credentials (job_id, scheme, sealed) VALUES (:review, :scheme, :sealed)
                   ON CONFLICT (job_id, scheme) DO UPDATE SET sealed = :sealed""",
                row | {"review": review},
            )
            return
        await self._state.execute(
            """INSERT INTO api_credentials (api, scheme, sealed) VALUES (:api, :scheme, :sealed)
               ON CONFLICT (api, scheme) DO UPDATE SET sealed = :sealed""",
            row | {"api": api},
        )

    async def credentials(
        self, api: str, schemes: dict[str, SecurityScheme], origin: str, *, review: str = ""
    ) -> dict[str, Credential]:
        """The credentials that were entered for an API at this origin, by scheme name.

        Args:
            review: a job in review, whose credentials go before those of the API; empty for a call of a tool.

        Raises:
            ToolFailed: they can't be decrypted with the current key.
        """
        rows = await self._state.read(
            """SELECT scheme, sealed FROM review_credentials WHERE job_id = :review
               UNION ALL
               SELECT scheme, sealed FROM api_credentials WHERE api = :api AND scheme NOT IN
                   (SELECT scheme FROM review_credentials WHERE job_id = :review)
               ORDER BY scheme""",
            {"api": api, "review": review},
        )
        decrypted = {
            row["scheme"]: self._decrypt(api, row["sealed"]) for row in rows if row["scheme"] in schemes
        }
        return {
            name: Credential(schemes[name], stored["values"])
            for name, stored in decrypted.items()
            if _is_bound_to(stored, origin, schemes[name].token_url)
        }

    async def mcp_token(self, api: str, source: str, review: str = "") -> str | None:
        """The bearer token that was entered for an MCP server. `review`: as in `credentials`."""
        credential = (await self.credentials(api, MCP_SCHEMES, source, review=review)).get(TOKEN)
        return credential.values["token"] if credential else None

    def _decrypt(self, api: str, sealed: bytes) -> dict[str, Any]:
        try:
            stored: dict[str, Any] = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise ToolFailed(
                UNAVAILABLE,
                detail=f"The credentials of {api} can't be decrypted; an admin must enter them again in the "
                "API tab.",
            ) from None
        _hide(stored.get("values", {}))
        # Old entries have no origin; they have to be entered again.
        return stored if "home" in stored else {"values": {}, "home": "", "token_url": ""}


def _is_bound_to(stored: dict[str, Any], origin: str, token_url: str) -> bool:
    """Whether stored values were entered for this origin and token endpoint.

    Older entries have the token URL as the description has it, which may be relative, and the origin with a
    default port.
    """
    home = str(stored["home"])
    stored_token_url = urljoin(f"{home}/", stored["token_url"]) if stored["token_url"] else ""
    return origin in (home, origin_of(home)) and token_url in (stored["token_url"], stored_token_url)


def _hide(values: dict[str, str]) -> None:
    """Redact the values in the log."""
    for value in values.values():
        hide(value)
