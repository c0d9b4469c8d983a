"""The Server Object: a base URL with variables."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A base URL. `variables`: name -> {"default": ..., "enum": [...], "description": ...}."""

    url: str
    description: str = ""
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)

    def is_on_another_host(self, other: "Server") -> bool:
        """Whether both URLs have a host, and the hosts differ."""
        host, other_host = urlsplit(self.url).netloc.lower(), urlsplit(other.url).netloc.lower()
        return bool(host and other_host) and host != other_host
