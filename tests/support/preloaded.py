"""What an app process imports, imported once: the fork server loads this, and each app begins as its fork."""

import sys
from pathlib import Path

import langchain_openai  # noqa: F401
import uvicorn
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401

import smart_support.server.application  # noqa: F401
from smart_support.server.console import import_console

import_console()


def loaded(into: str, *prefixes: str) -> None:
    """Write down which modules of these names an app process has, once it has made its app."""
    from smart_support import Settings, create_app

    create_app(Settings(data_dir=Path(into).parent / "var"))
    Path(into).write_text(" ".join(name for name in sys.modules if name.startswith(prefixes)))
