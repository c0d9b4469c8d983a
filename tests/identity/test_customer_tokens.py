"""Tokens by which a website vouches for a customer: the algorithm is the key's, and nothing else passes."""

import base64
import time
from collections.abc import Callable
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from smart_support.errors import ConfigError, InvalidCustomerToken
from smart_support.identity.customer_tokens import CustomerTokens, VerifiedCustomer

SECRET = "a secret of the website, 32 bytes"
RSA = rsa.generate_private_key(65537, 2048)
PRIVATE = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
TOKENS = CustomerTokens(SECRET)


def _pem(private: Any) -> str:
    public = private.public_key()
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def _token(key: Any = SECRET, algorithm: str | None = "HS256", **claims: Any) -> str:
    given = {"sub": "C-2001", "exp": time.time() + 60} | claims
    return jwt.encode({name: value for name, value in given.items() if value is not None}, key, algorithm)


def test_a_secret_and_three_kinds_of_public_keys() -> None:
    maya = VerifiedCustomer("C-2001", "Maya Chen", "maya@example.com")
    texts = {"name": "Maya Chen", "email": "maya@example.com"}
    assert TOKENS.verified(_token(**texts), "t") == maya
    for algorithm, private in PRIVATE.items():
        tokens = CustomerTokens(_pem(private).replace("\n", "\\n"))
        assert tokens.verified(_token(private, algorithm, **texts), "t") == maya


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_public_key_is_no_secret(algorithm: str) -> None:
    """The attack by which an RS256 key is used as a known HS256 secret."""
    pem = _pem(PRIVATE[algorithm])
    header = _encoded({"alg": "HS256", "typ": "JWT"})
    body = _encoded({"sub": "C-2001", "exp": int(time.time()) + 60})
    signed = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = base64.urlsafe_b64encode(signed.sign(f"{header}.{body}".encode(), pem.encode())).rstrip(b"=")
    with pytest.raises(InvalidCustomerToken):
        CustomerTokens(pem).verified(f"{header}.{body}.{signature.decode()}", "t")


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: _token(exp=time.time() - 1), "expired"),
        (lambda: _token(exp=None), "no exp"),
        (lambda: _token(sub=None), "no sub"),
        (lambda: _token(sub=" "), "sub"),
        (lambda: _token(sub="C\n1"), "sub"),
        (lambda: _token(sub="x" * 201), "sub"),
        (lambda: _token(name=7), "name"),
        (lambda: _token(thread_id="another"), "another conversation"),
        (lambda: _token(nbf=time.time() + 600), "not valid yet"),
        (lambda: _token("another secret of 32 bytes or so!"), "signature"),
        (lambda: _token(SECRET * 2, "HS512"), "algorithm"),
        (lambda: jwt.encode({"sub": "C-2001", "exp": time.time() + 60}, None, "none"), "algorithm"),
        (lambda: "a.b.c", "no signed JWT"),
        (lambda: "x" * 9000, "characters"),
        (lambda: 7, "JWT"),
        (lambda: ["a"], "JWT"),
    ],
)
def test_what_is_refused_says_why(make: Callable[[], Any], why: str) -> None:
    with pytest.raises(InvalidCustomerToken, match=why):
        TOKENS.verified(make(), "t")


def test_an_audience_is_checked_where_one_is_set() -> None:
    tokens = CustomerTokens(SECRET, "support")
    assert tokens.verified(_token(aud=["shop", "support"]), "t")
    for wrong in ({"aud": "shop"}, {}):
        with pytest.raises(InvalidCustomerToken, match="aud"):
            tokens.verified(_token(**wrong), "t")
    assert TOKENS.verified(_token(aud="shop"), "t")


def test_without_a_key_no_token_is_taken() -> None:
    assert CustomerTokens().verified("", "t") is None
    with pytest.raises(InvalidCustomerToken, match="CUSTOMER_TOKEN_KEY"):
        CustomerTokens().verified(_token(), "t")


@given(st.one_of(st.text(), st.recursive(st.none() | st.booleans() | st.integers(), st.lists)))
def test_no_text_is_a_token(token: Any) -> None:
    if token not in (None, ""):
        with pytest.raises(InvalidCustomerToken):
            TOKENS.verified(token, "t")


@given(st.integers(0, 400), st.integers(0, 63))
def test_a_changed_token_is_refused(place: int, letter: int) -> None:
    """No character of a token can be another one, except for bits that its encoding does not use."""
    token = _token(exp=2_000_000_000)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = token[: (place := place % (len(token) - 1))] + letters[letter] + token[place + 1 :]
    if changed != token:
        with pytest.raises(InvalidCustomerToken):
            TOKENS.verified(changed, "t")


@pytest.mark.parametrize(
    "key",
    [
        "short",
        "-----BEGIN PUBLIC KEY-----\nno\n-----END PUBLIC KEY-----",
        _pem(rsa.generate_private_key(65537, 1024)),
        _pem(ec.generate_private_key(ec.SECP384R1())),
    ],
)
def test_a_weak_or_unknown_key_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigError, match="CUSTOMER_TOKEN_KEY"):
        CustomerTokens(key)
