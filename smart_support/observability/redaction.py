"""Removes secrets from log lines, error messages and spans.

Known secrets (of the settings, of imported APIs) are removed in every encoding in which a library may repeat
them. Unknown values are removed if the name before them is that of a secret.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

HIDDEN = "***"
# Shorter secrets are not removed: they would match parts of ordinary words.
_SHORTEST = 8
_SHORTEST_BASE64 = 10
# Endings of the names of environment variables that hold a secret.
_SECRET_NAMES = re.compile(r"(KEY|KEYS|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS|HEADERS)$", re.IGNORECASE)
_BREAKS = re.compile(r"\\[nr]|\s")
# The name of a secret, a separator, and the value. Names are whole words, so that a count of tokens stays.
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
    """Holds the known secrets and removes them from texts."""

    def __init__(self) -> None:
        # Each spelling, the longest first, so that a shorter one does not leave a part of a longer one.
        self._spellings: tuple[str, ...] = ()
        self._secrets: frozenset[str] = frozenset()

    def hide(self, secret: str) -> None:
        """Remove this text from every later line. Each line of a multi-line secret is a secret too."""
        parts = {part.strip() for part in (secret, *secret.splitlines())}
        new = {part for part in parts if len(part) >= _SHORTEST} - self._secrets
        if new:
            self._secrets |= new
            spellings = {*self._spellings, *(one for part in new for one in _spellings_of(part))}
            self._spellings = tuple(sorted(spellings, key=len, reverse=True))

    def hide_address(self, url: str) -> None:
        """Remove the password of a URL from every later line, percent-encoded and decoded."""
        try:
            password = urlsplit(url).password or ""
        except ValueError:
            return
        self.hide(password)
        self.hide(unquote(password))

    def hide_environment(self) -> None:
        """Remove the secrets in environment variables from every later line."""
        for name, value in os.environ.items():
            if _SECRET_NAMES.search(name):
                self.hide(value)
                # Such as `authorization=Bearer abc,tenant=b`.
                for part in re.split(r"[=,\s]+", value) if name.upper().endswith("HEADERS") else ():
                    self.hide(part)

    def redacted(self, text: str) -> str:
        """The text without secrets."""
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        text = self._without_broken(text)
        lowered = text.lower()
        if any(name in lowered for name in _NAMES):
            text = _NAMED.sub(lambda match: f"{match['name']}{HIDDEN}", text)
        if "://" in text:
            text = _USER_INFO.sub(lambda match: f"{match['scheme']}{HIDDEN}@", text)
        return text

    def _without_broken(self, text: str) -> str:
        """The text without secrets that are wrapped over lines, or contain escaped line breaks."""
        joined = _BREAKS.sub("", text)
        if len(joined) == len(text):
            return text
        for secret in self._secrets:
            if secret in joined:
                text = re.sub(r"(?:\\[nr]|\s)*".join(map(re.escape, secret)), HIDDEN, text)
        return text


def _spellings_of(secret: str) -> Iterator[str]:
    """Plain, escaped for JSON, Python, HTML or a URL, and as a part of longer base64 text."""
    escaped = {secret, repr(secret)[1:-1], repr(secret.encode("utf-8", "replace"))[2:-1]}
    for _ in range(2):  # JSON in JSON, such as a provider's answer in a log line
        escaped |= {
            json.dumps(one, ensure_ascii=is_ascii)[1:-1] for one in [*escaped] for is_ascii in (True, False)
        }
    yield from escaped
    yield html.escape(secret)
    raw = secret.encode("utf-8", "replace")
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield raw.hex()
    for before in range(3):
        # Only the characters that encode no bit of the neighbouring bytes.
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            core = alphabet(bytes(before) + raw)[first:last].decode()
            if len(core) >= _SHORTEST_BASE64:
                yield core


# One for the process: a secret of one app must not be logged by another.
_redactor = Redactor()
hide = _redactor.hide
hide_address = _redactor.hide_address
hide_environment = _redactor.hide_environment
redacted = _redactor.redacted
