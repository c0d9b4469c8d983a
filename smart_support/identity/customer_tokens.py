"""Customers that a website vouches for: a signed token says who is chatting (JWT, RFC 7519).

A token is evidence about the customer, not a login: what its sender may do does not follow from it.
"""

from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from smart_support.errors import ConfigError, InvalidCustomerToken

KEY_SETTING = "SMART_SUPPORT_CUSTOMER_TOKEN_KEY"
# RFC 7518, 3.2 and 3.3: a key of HS256 has at least 256 bits, one of RS256 at least 2048.
MIN_SECRET_BYTES, MIN_RSA_BITS = 32, 2048
MAX_TOKEN_CHARS = 8000
MAX_ID_CHARS, MAX_TEXT_CHARS = 200, 320
_EXPLAINED: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired; get a new one from the website",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "its aud is not SMART_SUPPORT_CUSTOMER_TOKEN_AUDIENCE",
    jwt.InvalidAlgorithmError: "it is signed with another algorithm than the key's",
    jwt.InvalidSignatureError: "its signature does not fit the key",
}


@dataclass(frozen=True, slots=True)
class VerifiedCustomer:
    """A customer that a website vouches for.

    Attributes:
        id: the customer's id as the tools know it.
    """

    id: str
    name: str | None = None
    email: str | None = None

    def wire(self) -> dict[str, Any]:
        """The customer as approvals show it."""
        texts = {"name": self.name, "email": self.email}
        return {"id": self.id, "verified": True} | {name: text for name, text in texts.items() if text}


class CustomerTokens:
    """Verifies customer tokens with one key. The algorithm follows from the key, never from a token."""

    def __init__(self, key: str = "", audience: str = "") -> None:
        """
        Args:
            key: a secret for HS256, or a PEM public key for RS256, ES256 or EdDSA; line breaks may be
                written as `\\n`. Empty: no token is valid.
            audience: what `aud` has to be or contain, if given.

        Raises:
            ConfigError: the key is of no use; says why.
        """
        self._key: Any = None
        self._algorithm = ""
        if key:
            self._key, self._algorithm = _key_of(key.replace("\\n", "\n").strip())
        self._audience = audience

    def verified(self, token: Any, thread_id: str) -> VerifiedCustomer | None:
        """The customer that a token names; None where there is no token.

        Args:
            token: as a client sent it; an empty text is none.
            thread_id: the conversation it is sent to; a token with a `thread_id` is for that one only.

        Raises:
            InvalidCustomerToken: it is no valid token; says why.
        """
        if token is None or token == "":
            return None
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARS:
            raise _invalid(f"give a JWT of at most {MAX_TOKEN_CHARS} characters")
        claims = self._claims(token)
        if claims.get("thread_id") not in (None, thread_id):
            raise _invalid("it is for another conversation")
        customer_id = claims["sub"]
        if not customer_id.strip() or not _is_text(customer_id, MAX_ID_CHARS):
            raise _invalid(f"its sub must be the customer's id, 1 to {MAX_ID_CHARS} characters")
        texts = [claims.get(name) for name in ("name", "email")]
        if not all(text is None or _is_text(text, MAX_TEXT_CHARS) for text in texts):
            raise _invalid(f"its name and email must be texts of at most {MAX_TEXT_CHARS} characters")
        return VerifiedCustomer(customer_id, *texts)

    def _claims(self, token: str) -> dict[str, Any]:
        if self._key is None:
            raise _invalid(f"this server takes none; its operator can set {KEY_SETTING}")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                audience=self._audience or None,
                # When a token was issued is no reason to refuse it (RFC 7519, 4.1.6): clocks differ.
                options={
                    "require": ["sub", "exp", *(["aud"] if self._audience else [])],
                    "verify_aud": bool(self._audience),
                    "verify_iat": False,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise _invalid(f"it has no {error.claim}") from None
        except jwt.PyJWTError as error:
            raise _invalid(_EXPLAINED.get(type(error), "it is no signed JWT with valid claims")) from None
        except (ValueError, TypeError, RecursionError, OverflowError):
            raise _invalid("it is no signed JWT with valid claims") from None
        return claims


def _key_of(key: str) -> tuple[Any, str]:
    """The key as PyJWT takes it, and its algorithm."""
    if "-----BEGIN" not in key:
        if len(key.encode()) < MIN_SECRET_BYTES:
            raise ConfigError(
                f"{KEY_SETTING}: a secret needs at least {MIN_SECRET_BYTES} bytes; create one with "
                "openssl rand -base64 32, or give a PEM public key"
            )
        return key, "HS256"
    try:
        public = load_pem_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            f"{KEY_SETTING}: is no PEM public key; it begins with -----BEGIN PUBLIC KEY-----"
        ) from None
    match public:
        case RSAPublicKey() if public.key_size >= MIN_RSA_BITS:
            return public, "RS256"
        case EllipticCurvePublicKey() if isinstance(public.curve, SECP256R1):
            return public, "ES256"
        case Ed25519PublicKey() | Ed448PublicKey():
            return public, "EdDSA"
    raise ConfigError(
        f"{KEY_SETTING}: give a public key of RSA with at least {MIN_RSA_BITS} bits (RS256), of the curve "
        "P-256 (ES256), or of Ed25519 (EdDSA)"
    )


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and value.isprintable()


def _invalid(why: str) -> InvalidCustomerToken:
    return InvalidCustomerToken(f"customer_token: {why}.")
