"""An identity provider on loopback that does what a test says, also what no provider should."""

import base64
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
from joserfc import jwk, jwt

from smart_support import Settings
from smart_support.identity.single_sign_on.provider import IdentityProvider
from tests.support.loopback import Asked, Loopback, loopback, reply

CLIENT = "smart-support"
SECRET = "a-secret:of+the/client"
REDIRECT = "http://127.0.0.1:7860/login/callback"
DANA = {"sub": "u-1", "preferred_username": "dana", "name": "Dana Lee", "groups": ["leads", "refunds"]}


def new_key(key_id: str) -> Any:
    """A key pair of the provider."""
    return jwk.ECKey.generate_key("P-256", {"kid": key_id, "use": "sig", "alg": "ES256"})


class ScriptedProvider:
    """Discovery, keys, tokens and userinfo of one provider.

    Attributes:
        claims: of the person who logs in. `changes`: of the next ID token.
        metadata: beside or instead of what the provider says of itself.
        answers: instead of what a path gives; None keeps the caller waiting.
        keys: of its key set; the first one signs.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = dict(DANA)
        self.changes: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, bytes | None] = {}
        self.keys = [new_key("k-1")]
        self.user_info: dict[str, Any] = {}
        self.server: Loopback
        self._codes: dict[str, dict[str, str]] = {}

    @property
    def issuer(self) -> str:
        """The address of the provider."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def requests(self) -> list[str]:
        """The paths that were requested so far."""
        return [urlsplit(asked.target).path for asked in self.server.asked]

    def settings(self, **more: Any) -> Settings:
        """Settings that name this provider."""
        given: dict[str, Any] = {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": SECRET,
            "oidc_roles": "staff:operator, leads:lead, owners:admin",
        }
        return Settings(**given | more)

    def log_in(self, address: str) -> dict[str, str]:
        """Do what the browser does at the provider. Returns the parameters that it comes back with."""
        asked = dict(parse_qsl(urlsplit(address).query))
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def id_token(self, **changes: Any) -> str:
        """An ID token; a claim that is changed to None is left out."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300}
        return self.signed(claims | self.claims | self.changes | changes)

    def signed(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """A token with these claims, signed with the first key."""
        given = {name: value for name, value in claims.items() if value is not None}
        key = self.keys[0]
        return jwt.encode({"alg": "ES256", "kid": key.kid, **(header or {})}, given, key)

    def answer(self, asked: Asked) -> bytes | None:
        """What the provider answers to one request."""
        path = urlsplit(asked.target).path
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            return _json(self._described() | self.metadata)
        if path == "/jwks":
            return _json({"keys": [key.as_dict(private=False) for key in self.keys]})
        if path == "/userinfo":
            return _json(self.user_info)
        if path == "/token":
            return self._token(asked)
        return reply(404)

    def _described(self) -> dict[str, Any]:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
        places |= {"userinfo_endpoint": "userinfo", "end_session_endpoint": "end"}
        return {name: f"{self.issuer}/{place}" for name, place in places.items()} | {
            "issuer": self.issuer,
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        }

    def _token(self, asked: Asked) -> bytes:
        given = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        begun = self._codes.pop(given.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:a-secret%3Aof%2Bthe%2Fclient".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {basic}":
            return _json({"error": "invalid_client"}, 401)
        challenge = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        encoded = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        if (
            begun is None
            or begun["code_challenge"] != encoded
            or given["redirect_uri"] != begun["redirect_uri"]
        ):
            return _json({"error": "invalid_grant"}, 400)
        return _json(
            {
                "access_token": "an-access-token",
                "token_type": "Bearer",
                "id_token": self.id_token(nonce=begun["nonce"]),
            }
        )


@asynccontextmanager
async def scripted_provider() -> AsyncIterator[ScriptedProvider]:
    """A provider on a free port."""
    provider = ScriptedProvider()
    async with loopback(provider.answer) as provider.server:
        yield provider


def client_of(provider: ScriptedProvider, **settings: Any) -> IdentityProvider:
    """Our side of a provider."""
    return IdentityProvider(provider.settings(**settings), REDIRECT)


def _json(content: Any, status: int = 200) -> bytes:
    return reply(status, orjson.dumps(content), content_type="application/json")
