"""Builds the base URL of an API from a server of its description and the values of its variables."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote, urljoin, urlsplit

from smart_support.connectors.openapi.document.server import Server
from smart_support.errors import InvalidRequest

__all__ = ["PATH_CHARACTERS", "server_url"]

# What an encoded path may contain besides unreserved characters (RFC 3986, 3.3).
PATH_CHARACTERS = "/%:@!$&'()*+,;=~"

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_IN_VALUE = re.compile(r"[\x00-\x20\x7f/?#@\\]")


def server_url(server: Server, variables: Mapping[str, str], *, document_url: str | None = None) -> str:
    """The base URL of an API: absolute, http or https, without a trailing slash.

    Args:
        variables: values of the server's variables; missing ones have their default.
        document_url: the URL of the description, for a relative server URL.

    Raises:
        InvalidRequest: the URL is invalid; the message says what to do.
    """
    url = _PLACEHOLDER.sub(lambda match: _value(server, match[1], variables), server.url)
    return _checked(url, document_url)


# Thousands of operations have the same few servers.
@lru_cache(maxsize=1_000)
def _checked(url: str, document_url: str | None) -> str:
    if _NOT_IN_URL.search(url):
        raise InvalidRequest(
            "The server's URL contains a space, a backslash or a control character; correct it."
        )
    try:
        parts = urlsplit(urljoin(document_url, url or "/") if document_url else url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidRequest("The server's URL is invalid; correct its host or port.") from None
    if "@" in parts.netloc:
        # The URL is not shown: it may contain a password.
        raise InvalidRequest("The server's URL contains a user name; enter it as credentials instead.")
    if parts.scheme not in {"http", "https"} or not host or "%" in host:
        raise InvalidRequest(
            f"The server's URL {url[:200]!r} is not an absolute http or https URL; enter the API's base URL."
        )
    if "?" in url or "#" in url:
        raise InvalidRequest("The server's URL contains ? or #; enter it without query and fragment.")
    if {".", ".."} & set(unquote(parts.path).split("/")):
        raise InvalidRequest(
            f"The server's URL {url[:200]!r} contains . or .. in its path; enter the resolved path."
        )
    return (f"{parts.scheme}://{parts.netloc}" + quote(parts.path, safe=PATH_CHARACTERS)).rstrip("/")


def _value(server: Server, name: str, variables: Mapping[str, str]) -> str:
    variable = server.variables.get(name, {})
    default = str(variable["default"]) if "default" in variable else None
    value = variables.get(name, default)
    if value is None:
        raise InvalidRequest(f"The server variable {name} has no value; enter one.")
    choices = [str(choice) for choice in variable.get("enum") or ()]
    if choices and value != default and value not in choices:
        raise InvalidRequest(
            f"The server variable {name} can't be {value!r}; choose one of: {', '.join(choices)}."
        )
    # Values from the description may be a path or a whole URL; an entered value may only fill one segment.
    if value != default and value not in choices and _NOT_IN_VALUE.search(value):
        raise InvalidRequest(
            f"The server variable {name} can't be {value!r}: spaces and / ? # @ \\ are not allowed."
        )
    return value
