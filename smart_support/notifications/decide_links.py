"""Links to decide: signed, each for one approval and for one use.

A link is valid as long as its approval can be decided, so it has no time of its own: a freeze may move the
approval's expiry. What a link shows and who may use it is checked when it is opened.
"""

import hashlib
import hmac
from dataclasses import dataclass

import jwt

from smart_support.errors import NotFound
from smart_support.storage.secret_key import derived_key

PATH = "/decide/"
_AUDIENCE = "smart-support/decide"
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class DecideLink:
    """What a link says. `link_id`: identifies it, so that it is used once."""

    approval_id: str
    link_id: str


class DecideLinks:
    """Makes links and reads them."""

    def __init__(self, key: bytes, base: str) -> None:
        """
        Args:
            key: the app's secret key.
            base: what links begin with.
        """
        self._key = derived_key(key, "links to decide")
        self._base = base

    def make(self, approval_id: str, link_id: str) -> str:
        """The address; the same one for the same ids."""
        claims = {"aud": _AUDIENCE, "sub": approval_id, "jti": link_id}
        return f"{self._base}{PATH}{jwt.encode(claims, self._key, _ALGORITHM)}"

    def read(self, token: str) -> DecideLink:
        """What a link says.

        Raises:
            NotFound: it is not one of ours.
        """
        try:
            claims = jwt.decode(
                token, self._key, [_ALGORITHM], audience=_AUDIENCE, options={"require": ["sub", "jti"]}
            )
        except jwt.InvalidTokenError:
            raise NotFound("This link is not valid. Copy all of it, or open the console.") from None
        return DecideLink(claims["sub"], claims["jti"])

    def form_token(self, link: DecideLink, user: str, shown: str) -> str:
        """Binds a form to the link, to who sees it, and to what it shows.

        Args:
            shown: identifies the state of the card: a decision on another state is refused.
        """
        text = "\x00".join((link.approval_id, link.link_id, user, shown))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
