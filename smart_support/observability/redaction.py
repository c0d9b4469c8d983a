"""Takes secrets out of what is written for people: log lines, errors at the start, spans.

Known secrets (of the settings, of imported APIs) go in every spelling in which a library may repeat them.
What looks like a secret by the name beside it goes too, known or not.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
# What is shorter stays readable: it would be found in words that are no secret.
_SHORTEST = 8
_SHORTEST_BASE64 = 10
# Variables of the environment whose value is a secret, by how their names end.
_SECRET_NAMES = re.compile(r"(KEY|KEYS|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS|HEADERS)$", re.IGNORECASE)
_BREAKS = re.compile(r"\\[nr]|\s")
# A name, what stands between, and the value that goes. Names are whole words: a count of tokens stays.
_BETWEEN = r"""\\*["']?\s*(?:[:=,]|%3D)\s*\(?(?:b?\\*["'])?"""
_NAMED = re.compile(
    rf"""(?P<name>
            \b(?:proxy-)?authorization{_BETWEEN}(?:(?:bearer|basic|digest|token)\s+)?
          | \b(?:bearer|basic)\s+(?=[\w.~+/=-]*[0-9])(?=[\w.~+/=-]{{8}})
          | \b(?:set-)?cookie{_BETWEEN}
          | (?<![a-z])(?:x-)?api[-_]?key{_BETWEEN}
          | (?<![a-z])(?:(?:access|refresh|id|customer|auth|session)[-_])?token{_BETWEEN}
          | (?<![a-z])(?:client[-_])?(?:secret|password|passwd|pwd){_BETWEEN}
        )
        (?!(?:null|none|true|false)\b|\*\*\*)[^\s"'&,;\\)}}\]]{{4,}}""",
    re.IGNORECASE | re.VERBOSE,
)
_NAMES = ("auth", "bearer", "basic ", "cookie", "key", "token", "secret", "passw", "pwd")
_USER_INFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/?#\"'@]*(?:@[^\s/?#\"'@]*)*@", re.IGNORECASE)


class Redactor:
    """What this process knows of secrets."""

    def __init__(self) -> None:
        # Each spelling, the longest first, so that none leaves the rest of a longer one.
        self._spellings: tuple[str, ...] = ()
        self._secrets: frozenset[str] = frozenset()

    def hide(self, secret: str) -> None:
        """Keep this text out of every later line; of one with several lines, each of them."""
        parts = {part.strip() for part in (secret, *secret.splitlines())}
        new = {part for part in parts if len(part) >= _SHORTEST} - self._secrets
        if new:
            self._secrets |= new
            found = {*self._spellings, *(one for part in new for one in _spellings_of(part))}
            self._spellings = tuple(sorted(found, key=len, reverse=True))

    def hide_address(self, url: str) -> None:
        """Keep the password of an address out of every later line, as it is written and as it is meant."""
        try:
            password = urlsplit(url).password or ""
        except ValueError:
            return
        self.hide(password)
        self.hide(unquote(password))

    def hide_environment(self) -> None:
        """Keep the secrets of the environment's variables out of every later line."""
        for name, value in os.environ.items():
            if _SECRET_NAMES.search(name):
                self.hide(value)
                # Such as `authorization=Bearer abc,tenant=b`.
                for part in re.split(r"[=,\s]+", value) if name.upper().endswith("HEADERS") else ():
                    self.hide(part)

    def redacted(self, text: str) -> str:
        """The text without any of them."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        text = self._without_broken(text)
        lowered = text.lower()
        if any(name in lowered for name in _NAMES):
            text = _NAMED.sub(lambda found: f"{found['name']}{HIDDEN}", text)
        if "://" in text:
            text = _USER_INFO.sub(lambda found: f"{found['scheme']}{HIDDEN}@", text)
        return text

    def _without_broken(self, text: str) -> str:
        """Without a secret that is broken over lines, as text or as the escapes of a line break."""
        joined = _BREAKS.sub("", text)
        if len(joined) == len(text):
            return text
        for secret in self._secrets:
            if secret in joined:
                text = re.sub(r"(?:\\[nr]|\s)*".join(map(re.escape, secret)), HIDDEN, text)
        return text


def _spellings_of(secret: str) -> Iterator[str]:
    """As text, escaped for JSON, Python, HTML or an address, and as base64 within a longer text."""
    escaped = {secret, repr(secret)[1:-1], repr(secret.encode("utf-8", "replace"))[2:-1]}
    for _ in range(2):  # JSON in JSON, such as a provider's answer in a line of ours
        escaped |= {
            json.dumps(one, ensure_ascii=plain)[1:-1] for one in [*escaped] for plain in (True, False)
        }
    yield from escaped
    yield html.escape(secret)
    raw = secret.encode("utf-8", "replace")
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    yield raw.hex()
    for before in range(3):
        # Only those characters that no neighbour has a bit in.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            core = alphabet(bytes(before) + raw)[first:last].decode()
            if len(core) >= _SHORTEST_BASE64:
                yield core


# Of this process: what one app of it knows, no other may write.
_redactor = Redactor()
hide = _redactor.hide
hide_address = _redactor.hide_address
hide_environment = _redactor.hide_environment
redacted = _redactor.redacted
