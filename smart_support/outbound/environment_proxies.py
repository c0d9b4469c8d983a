"""The proxies of the environment: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` and others, in either case.

Requests to the model go through them. Imported APIs, MCP servers and webhooks don't: their addresses are
checked, and a proxy would resolve them again.
"""

import contextlib
import os
from collections.abc import Iterator

import httpx2

from smart_support.errors import ConfigError

_NAMES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})


def check_proxies() -> None:
    """Check that an HTTP client can use the proxies of the environment.

    Raises:
        ConfigError: it can't; the message names the variables, without the passwords that they may contain.
    """
    try:
        httpx2.AsyncClient(verify=False)
    except (ValueError, ImportError, httpx2.InvalidURL):
        names = " or ".join(sorted(_set_variables()))
        raise ConfigError(
            f"{names}: can't be used to reach the model; set an http://, https://, socks5:// or socks5h:// "
            "address (NO_PROXY: host names, comma-separated), or remove the variable"
        ) from None


@contextlib.contextmanager
def without_proxies() -> Iterator[None]:
    """Hide the proxies from libraries that create an HTTP client when they are imported, and never use it."""
    hidden = {name: os.environ.pop(name) for name in _set_variables()}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _set_variables() -> list[str]:
    return [name for name in os.environ if name.lower() in _NAMES]
