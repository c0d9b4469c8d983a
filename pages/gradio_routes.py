"""Gradio's app with the routes that the console needs, each of them made once.

By default Gradio makes over a hundred routes, of which the allowlist refuses most, and includes them from a
router: FastAPI makes those once more at the first request, and looks through all of them at each.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import gradio.routes
from fastapi import APIRouter
from starlette.routing import BaseRoute

from pages.gradio_allowlist import is_needed


@contextmanager
def replaced(module: Any, name: str, by: Any) -> Iterator[None]:
    """While this lasts, a name of one of Gradio's modules stands for something else."""
    own = getattr(module, name)
    setattr(module, name, by)
    try:
        yield
    finally:
        setattr(module, name, own)


def needed_routes_only() -> AbstractContextManager[None]:
    """While this lasts, an app that Gradio builds has no API route that the allowlist refuses."""
    return replaced(gradio.routes, "APIRouter", _NeededRoutes)


def take_over_included(routes: list[BaseRoute]) -> None:
    """Put the routes of included routers into an app's list, in the place of these routers."""
    routes[:] = [
        route for one in routes for route in getattr(getattr(one, "original_router", None), "routes", (one,))
    ]


class _NeededRoutes(APIRouter):
    def __init__(self, **options: Any) -> None:
        # That of Gradio's app, which an included router would take.
        super().__init__(default_response_class=gradio.routes.ORJSONResponse, **options)

    def add_api_route(self, path: str, endpoint: Any, **options: Any) -> None:
        if is_needed(self.prefix + path):
            super().add_api_route(path, endpoint, **options)
