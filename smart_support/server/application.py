"""The composition root: one app over one set of services, with its doors; it owns start-up and shutdown."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from langchain_core.language_models import BaseChatModel

from smart_support import __version__
from smart_support.api import login, routes, websocket
from smart_support.api.envelope import handle_errors
from smart_support.api.middleware.authentication import Guard
from smart_support.api.middleware.body_limit import BodyLimit
from smart_support.api.middleware.request_context import unobserved
from smart_support.api.middleware.same_origin import SameOrigin
from smart_support.api.middleware.security_headers import SecuredApp
from smart_support.observability import log, tracing
from smart_support.services import Services
from smart_support.settings import Settings


def create_app(
    settings: Settings | None = None, *, graph: Any = None, chat_model: BaseChatModel | None = None
) -> FastAPI:
    """The whole application: console, socket and REST over one set of services.

    Args:
        settings: from the environment where left out.
        graph: a LangGraph graph of your own, in place of the configured agents.
        chat_model: a LangChain chat model of your own, in place of the one the settings name.

    Raises:
        ConfigError: a setting or the agents file is wrong; says which and what to do.
    """
    settings = settings or Settings()
    log.configure(settings.log_format, settings.log_level)
    tracing.configure(__version__)
    services = Services(settings, graph=graph, chat_model=chat_model)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await services.open()
            app.state.session_manager = services.session_manager
            yield
        finally:
            await services.close()

    app = SecuredApp(
        title="Smart Support",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "exclude": unobserved},
    )
    app.state.services = services
    app.add_middleware(BodyLimit, import_bytes=settings.max_spec_bytes)
    app.add_middleware(Guard)
    app.add_middleware(SameOrigin, named=services.accounts.asked_for)
    handle_errors(app)
    app.include_router(routes.router)
    app.include_router(websocket.router)
    app.include_router(login.router)
    _mount_console(app, services)
    return app


def _mount_console(app: FastAPI, services: Services) -> None:
    # Gradio asks its makers' servers unless told otherwise, and reads this when it is imported.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import pages

    pages.mount(app, services)
