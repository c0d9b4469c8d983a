"""Which tokens of an identity provider count: every hostile one is refused."""

import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwk, jws, jwt

from smart_support.identity.single_sign_on import tokens
from smart_support.identity.single_sign_on.errors import SignInRefused
from tests.support.identity_provider import new_key

ISSUER, CLIENT, NONCE = "https://login.example", "smart-support", "n-1"
KEY, RSA = new_key("k-1"), jwk.RSAKey.generate_key(2048, {"kid": "r-1"})
KEYS = [KEY.as_dict(private=False), RSA.as_dict(private=False)]
ALGORITHMS = ["ES256", "RS256"]


def _claims(**changes: Any) -> dict[str, Any]:
    """The claims of an ID token. Times are seconds from now; a claim that is None is left out."""
    now = int(time.time())
    changes |= {
        name: now + seconds
        for name, seconds in changes.items()
        if name in ("exp", "iat", "nbf") and isinstance(seconds, int)
    }
    given = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "u-1",
        "iat": now,
        "exp": now + 60,
        "nonce": NONCE,
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def _token(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    registry = jws.JWSRegistry(algorithms=["ES256", "RS256", "HS256", "none"], strict_check_header=False)
    return jwt.encode(
        {"alg": "ES256", "kid": key.kid, **header},
        claims,
        key,
        registry=registry,
        algorithms=["ES256", "RS256", "HS256", "none"],
    )


def _check(token: str, **more: Any) -> dict[str, Any]:
    claims, header = tokens.verified_claims(token, KEYS, ALGORITHMS)
    tokens.check_id_token(claims, header, issuer=ISSUER, client_id=CLIENT, nonce=NONCE, **more)
    return claims


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"exp": -tokens.LEEWAY_SECONDS // 2},
        {"iat": tokens.LEEWAY_SECONDS // 2},
    ],
)
def test_a_token_for_this_login_counts(claims: dict[str, Any]) -> None:
    assert _check(_token(_claims(**claims)))["sub"] == "u-1"
    assert _check(_token(_claims(**claims), RSA, alg="RS256"))["sub"] == "u-1"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": f"{ISSUER}/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": None},
        {"aud": [CLIENT, "other"]},
        {"azp": "other"},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"exp": -600},
        {"exp": None},
        {"exp": "later"},
        {"iat": 600},
        {"iat": None},
        {"nbf": 600},
        {"nonce": "n-2"},
        {"nonce": None},
        {"nonce": [NONCE]},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "u" * 256},
        {"at_hash": "of-another-token"},
    ],
)
def test_a_token_of_somebody_else_s_login_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInRefused) as refused:
        _check(_token(_claims(**claims)), access_token="an-access-token")
    assert refused.value.detail.startswith("ID token")


def test_a_token_without_a_signature_is_refused() -> None:
    unsigned = _token(_claims(), jwk.OctKey.generate_key(256, {"kid": "k-1"}), alg="none")
    for token in (unsigned, unsigned.rpartition(".")[0] + ".", _token(_claims()).rpartition(".")[0] + "."):
        with pytest.raises(SignInRefused):
            _check(token)


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    for secret in (RSA.as_pem(private=False), KEY.as_pem(private=False)):
        head = urlsafe_b64encode(b'{"alg":"HS256","kid":"r-1"}').rstrip(b"=").decode()
        signed = f"{head}.{_token(_claims()).split('.')[1]}"
        code = hmac.digest(secret, signed.encode(), "sha256")
        forged = f"{signed}.{urlsafe_b64encode(code).rstrip(b'=').decode()}"
        with pytest.raises(SignInRefused, match="trusted"):
            _check(forged)


def test_a_token_that_brings_its_own_key_is_refused() -> None:
    own = new_key("k-1")
    with pytest.raises(SignInRefused) as refused:
        _check(_token(_claims(), own, jwk=own.as_dict(private=False)))
    assert "signature" in refused.value.detail


def test_a_token_of_an_unknown_key_says_so() -> None:
    with pytest.raises(tokens.UnknownKey):
        _check(_token(_claims(), new_key("k-9")))


def test_a_token_without_a_key_id_counts_where_a_key_fits() -> None:
    token = jwt.encode({"alg": "ES256"}, _claims(), KEY)
    assert _check(token)["sub"] == "u-1"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d.e", "!.b.c", "bnVsbA.b.c", "a" * 200_000 + ".b.c"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(SignInRefused):
        _check(text)


def test_keys_that_are_not_public_keys_are_not_used() -> None:
    secret = jwk.OctKey.generate_key(256, {"kid": "k-1"})
    odd: list[Any] = [secret.as_dict(), {"kty": "EC", "kid": "k-1", "crv": "P-256"}, "text", {}]
    with pytest.raises((SignInRefused, tokens.UnknownKey)):
        tokens.verified_claims(_token(_claims(), secret, alg="HS256"), odd, ["ES256", "HS256"])
    assert tokens.verified_claims(_token(_claims()), [*odd, *KEYS], ALGORITHMS)[0]["sub"] == "u-1"


@pytest.mark.parametrize(
    ("listed", "accepted"),
    [
        (None, ["RS256"]),
        (["none", "HS256", "ES256", "RS256"], ["RS256", "ES256"]),
        (["none", "HS512"], []),
        ("RS256", []),
    ],
)
def test_the_provider_can_t_offer_weaker_algorithms(listed: Any, accepted: list[str]) -> None:
    metadata = {"id_token_signing_alg_values_supported": listed}
    assert tokens.accepted_algorithms(metadata) == accepted


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"sub": None, "sid": "s-1"}, True),
        ({"sub": None}, False),
        ({"events": None}, False),
        ({"events": {"other": {}}}, False),
        ({"nonce": NONCE}, False),
        ({"aud": "other"}, False),
        ({"iss": "https://other.example"}, False),
        ({"exp": -600}, False),
        ({"iat": None}, False),
    ],
)
def test_a_logout_token_is_no_id_token(changes: dict[str, Any], counts: bool) -> None:
    claims = _claims(**{"nonce": None, "events": {tokens.LOGOUT_EVENT: {}}, **changes})
    if counts:
        tokens.check_logout_token(claims, issuer=ISSUER, client_id=CLIENT)
    else:
        with pytest.raises(SignInRefused):
            tokens.check_logout_token(claims, issuer=ISSUER, client_id=CLIENT)
