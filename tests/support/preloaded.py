"""What an app process imports, imported once: the fork server loads this, and each app begins as its fork."""

import os
import sys
from pathlib import Path

# As the app sets them before it imports Gradio; see application.py.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import langchain_openai  # noqa: F401  (after the environment, like what follows)
import uvicorn
import uvicorn.lifespan.on
import uvicorn.loops.uvloop
import uvicorn.protocols.http.httptools_impl
import uvicorn.protocols.websockets.websockets_sansio_impl  # noqa: F401

import pages  # noqa: F401
import smart_support.server.application  # noqa: F401


def loaded(into: str, *prefixes: str) -> None:
    """Write down which modules of these names an app process has, once it has made its app."""
    from smart_support import Settings, create_app

    create_app(Settings(data_dir=Path(into).parent / "var"))
    Path(into).write_text(" ".join(name for name in sys.modules if name.startswith(prefixes)))
