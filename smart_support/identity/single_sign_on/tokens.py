"""Verifies the tokens of an identity provider: signature, issuer, audience, times and nonce.

Only the provider's own public keys count, and only algorithms with public keys: `none` and HMAC are never
accepted, whatever the provider or the token says.
"""

from collections.abc import Collection, Mapping
from typing import Any

import orjson

from smart_support import clock
from smart_support.identity.single_sign_on.errors import SignInRefused

# What is accepted of the algorithms that the provider's metadata lists (RFC 7518, RFC 9864).
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519"),
)
LEEWAY_SECONDS = 60
MAX_TOKEN_CHARS = 100_000
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_REFUSED = "The answer of the identity provider can't be trusted. Nobody was logged in."


class UnknownKey(Exception):
    """No known key of the provider can have signed the token."""


def accepted_algorithms(metadata: Mapping[str, Any]) -> list[str]:
    """The algorithms that the provider lists and that are accepted here; RS256 where it lists none."""
    listed = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    return [one for one in ALGORITHMS if isinstance(listed, list) and one in listed]


def verified_claims(
    token: str, keys: Collection[Mapping[str, Any]], algorithms: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The claims and the header of a token with a valid signature.

    Args:
        keys: the provider's key set (RFC 7517), as JSON.

    Raises:
        UnknownKey: no key has the token's key id.
        SignInRefused: the token is malformed, its algorithm is not accepted, or the signature is wrong.
    """
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    header = _header(token)
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in algorithms:
        raise SignInRefused(_REFUSED, detail=f"the token's algorithm {algorithm!r} is not accepted")
    fitting = [key for key in keys if _fits(key, key_id)]
    if not fitting:
        raise UnknownKey(str(key_id))
    for key in fitting:
        try:
            decoded = jwt.decode(token, jwk.import_key(dict(key)), algorithms=[str(algorithm)])
        except (JoseError, ValueError, TypeError):
            continue
        return decoded.claims, decoded.header
    raise SignInRefused(_REFUSED, detail="the token's signature does not fit the provider's keys")


def check_id_token(
    claims: Mapping[str, Any],
    header: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str = "",
) -> None:
    """Check an ID token after OpenID Connect Core, 3.1.3.7.

    Raises:
        SignInRefused: it is of another issuer, for another client, out of time, or of another login.
    """
    from authlib.oidc.core import CodeIDToken
    from joserfc.errors import JoseError

    expected = {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}}
    params = {"nonce": nonce, "client_id": client_id, "access_token": access_token}
    try:
        CodeIDToken(claims, header, expected, params).validate(_now(), LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise SignInRefused(_REFUSED, detail=f"ID token: {error}") from None
    _check_subject(claims)


def check_logout_token(claims: Mapping[str, Any], *, issuer: str, client_id: str) -> None:
    """Check a logout token after OpenID Connect Back-Channel Logout, 2.6.

    Raises:
        SignInRefused: it is not one, or not for this client now.
    """
    from joserfc.errors import JoseError
    from joserfc.jwt import JWTClaimsRegistry

    registry = JWTClaimsRegistry(
        _now(),
        LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client_id},
        iat={"essential": True},
        exp={"essential": True},
    )
    try:
        registry.validate(dict(claims))
    except (JoseError, ValueError, TypeError) as error:
        raise SignInRefused(_REFUSED, detail=f"logout token: {error}") from None
    events = claims.get("events")
    if not isinstance(events, Mapping) or LOGOUT_EVENT not in events or "nonce" in claims:
        raise SignInRefused(_REFUSED, detail="logout token: it is no logout token")
    if not any(isinstance(claims.get(name), str) and claims[name] for name in ("sub", "sid")):
        raise SignInRefused(_REFUSED, detail="logout token: it names neither a subject nor a session")


def _check_subject(claims: Mapping[str, Any]) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise SignInRefused(_REFUSED, detail="ID token: its subject is not a text of 1 to 255 characters")


def _header(token: str) -> dict[str, Any]:
    from joserfc.util import urlsafe_b64decode

    try:
        if len(token) > MAX_TOKEN_CHARS or token.count(".") != 2:
            raise ValueError
        header = orjson.loads(urlsafe_b64decode(token.partition(".")[0].encode()))
    except (ValueError, TypeError):
        header = None
    if not isinstance(header, dict):
        raise SignInRefused(_REFUSED, detail="the token is not a signed JWT")
    return header


def _fits(key: Any, key_id: Any) -> bool:
    if not isinstance(key, Mapping) or key.get("kty") not in ("RSA", "EC", "OKP"):
        return False
    return key.get("use", "sig") == "sig" and (key_id is None or key.get("kid") == key_id)


def _now() -> int:
    return int(clock.now().timestamp())
