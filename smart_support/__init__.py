"""Smart Support: agents that act for customer support, every write approved by a human first."""

from typing import TYPE_CHECKING, Any

from smart_support.settings import Settings
from smart_support.version import __version__

if TYPE_CHECKING:
    from smart_support.server.application import create_app

__all__ = ["Settings", "__version__", "create_app"]


def __getattr__(name: str) -> Any:
    # Importing `create_app` imports the whole application, which commands need not wait for.
    if name == "create_app":
        from smart_support.server.application import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
