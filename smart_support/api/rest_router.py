"""Routers whose routes are complete: an app takes them as they are.

`include_router` makes each route once more for each app, at its first requests, which takes 70 ms.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI

from smart_support.api.schemas import ERROR_ANSWERS

PREFIX = "/api/v1"


def rest_router(prefix: str = "", **options: Any) -> APIRouter:
    """A router for a resource of the REST API.

    Args:
        prefix: of its paths, below `/api/v1`.
        options: of `APIRouter`, such as `tags` and `dependencies`, for all of its routes.
    """
    return APIRouter(prefix=PREFIX + prefix, responses=ERROR_ANSWERS, **options)


def add_routes(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Add the routes of these routers to an app, to be tried in this order."""
    for router in routers:
        app.router.routes += router.routes
