"""Mounts the console. Its import imports Gradio, which is the longest part of a start."""

import contextlib
import inspect
import os
import sys
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from smart_support.outbound.environment_proxies import without_proxies
from smart_support.services import Services


def mount_console(app: FastAPI, services: Services) -> None:
    """Mount it on the app. Call this after all other routes, as the console takes every other path."""
    with without_proxies():
        import_console()
        from pages import console

        console.mount(app, services)


def import_console() -> None:
    """Import it so that Gradio contacts nobody and writes no files."""
    # Read when Gradio is imported: it must not contact its makers' servers.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Of its last 10,000 calls, Gradio computes statistics after each call. Nobody can read them here.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    with _without_type_stubs():
        import pages.console  # noqa: F401


@contextlib.contextmanager
def _without_type_stubs() -> Iterator[None]:
    """Keep Gradio from comparing a type stub of each component with its source, a third of its import.

    It writes the stubs into its own package, for editors. A component without a source file gets none.
    """
    getfile = inspect.getfile

    def getfile_of_others(object: Any) -> str:
        if type(object).__name__ == "ComponentMeta":
            raise OSError("not looked for")
        return getfile(object)

    inspect.getfile = getfile_of_others
    try:
        yield
    finally:
        inspect.getfile = getfile
