"""The base address of an API, from what its description and an admin say. What is sent there: request.py."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urljoin, urlsplit

from smart_support.connectors.openapi.document.operation import Server
from smart_support.errors import InvalidRequest

__all__ = ["IN_PATH", "base_url"]

IN_PATH = (
    "/%:@!$&'()*+,;=~"  # beside the unreserved, what a path that is already encoded may hold: RFC 3986, 3.3
)

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NO_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NOT_IN_VALUE = re.compile(r"[\x00-\x20\x7f/?#@\\]")


def base_url(server: Server, variables: Mapping[str, str], *, document_url: str | None = None) -> str:
    """Where an API's paths begin: an absolute http or https URL without a slash at its end.

    Args:
        variables: values for the server's variables; each has its default where it has none here.
        document_url: where the description came from; a relative server URL is joined with it.

    Raises:
        InvalidRequest: says what is wrong with the address and what to do.
    """
    url = _PLACEHOLDER.sub(lambda match: _value(server, match[1], variables), server.url)
    if _NO_URL.search(url):
        raise InvalidRequest(
            "The server's address holds a space, a backslash or a control character; correct it."
        )
    try:
        parts = urlsplit(urljoin(document_url, url or "/") if document_url else url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidRequest(
            "The server's address can't be read as a URL; correct its host or port."
        ) from None
    if "@" in parts.netloc:
        # Not shown: it may be a password.
        raise InvalidRequest(
            "The server's address holds a user name; put it into the API's credentials instead."
        )
    if parts.scheme not in {"http", "https"} or not host or "%" in host:
        raise InvalidRequest(
            f"The server's address {url[:200]!r} is no full http or https address; enter the API's base URL."
        )
    if "?" in url or "#" in url:
        raise InvalidRequest("The server's address holds ? or #; enter it without what follows there.")
    if {".", ".."} & set(unquote(parts.path).split("/")):
        raise InvalidRequest(
            f"The server's address {url[:200]!r} holds . or .. in its path; enter the path itself."
        )
    return (f"{parts.scheme}://{parts.netloc}" + quote(parts.path, safe=IN_PATH)).rstrip("/")


def _value(server: Server, name: str, variables: Mapping[str, str]) -> str:
    declared = server.variables.get(name, {})
    default = str(declared["default"]) if "default" in declared else None
    value = variables.get(name, default)
    if value is None:
        raise InvalidRequest(f"The server's variable {name} has no value; enter one.")
    choices = [str(choice) for choice in declared.get("enum") or ()]
    if choices and value != default and value not in choices:
        raise InvalidRequest(
            f"The server's variable {name} can't be {value!r}; choose one of: {', '.join(choices)}."
        )
    # What the description itself gives may be a path or a whole address; what is entered fills a gap in one.
    if value != default and value not in choices and _NOT_IN_VALUE.search(value):
        raise InvalidRequest(
            f"The server's variable {name} can't be {value!r}: it may hold no spaces and none of / ? # @ \\."
        )
    return value
