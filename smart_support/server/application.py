"""Builds the application: services, interfaces and middleware, with start-up and shutdown."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from langchain_core.language_models import BaseChatModel
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from smart_support import __version__
from smart_support.api import decide, login, routes, single_sign_on, websocket
from smart_support.api.envelope import add_error_handlers
from smart_support.api.middleware.authentication import AuthenticationMiddleware
from smart_support.api.middleware.body_limit import BodyLimitMiddleware
from smart_support.api.middleware.proxy_headers import TrustedProxiesMiddleware
from smart_support.api.middleware.request_context import RequestContextMiddleware, is_unobserved
from smart_support.api.middleware.root_path import RootPathMiddleware
from smart_support.api.middleware.same_origin import SameOriginMiddleware
from smart_support.api.middleware.security_headers import SecurityHeadersMiddleware
from smart_support.api.rest_router import add_routes
from smart_support.mcp_server.endpoint import McpEndpoint
from smart_support.mcp_server.server import McpServer
from smart_support.observability import log, tracing
from smart_support.server.console import mount_console
from smart_support.services import Services
from smart_support.settings import Settings


class Application(FastAPI):
    """FastAPI with four middlewares around everything, error pages included."""

    # See `TrustedProxiesMiddleware`.
    trusted_proxies = ""
    # See `RootPathMiddleware`.
    sub_path = ""
    # `Settings.public_url`
    public_url = ""

    def build_middleware_stack(self) -> ASGIApp:
        """Build FastAPI's middlewares and put ours around them."""
        app: ASGIApp = RequestContextMiddleware(SecurityHeadersMiddleware(super().build_middleware_stack()))
        app = RootPathMiddleware(app, self.sub_path)
        return TrustedProxiesMiddleware(app, trusted=self.trusted_proxies, public_url=self.public_url)


@contextlib.asynccontextmanager
async def _mcp_endpoint(services: Services) -> AsyncIterator[McpEndpoint]:
    server = McpServer(services.actions, wait_seconds=services.settings.mcp_wait_seconds)
    services.when_tools_change.add(server.tools_changed)
    endpoint = McpEndpoint(server)
    await endpoint.open()
    try:
        yield endpoint
    finally:
        services.when_tools_change.discard(server.tools_changed)
        await endpoint.close()


class _McpRoute:
    """Passes requests on to the endpoint, which exists while the app runs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.mcp(scope, receive, send)


def create_app(
    settings: Settings | None = None, *, graph: Any = None, chat_model: BaseChatModel | None = None
) -> FastAPI:
    """Create the application: console, WebSocket and REST API over one set of services.

    Args:
        settings: read from the environment if not given.
        graph: a LangGraph graph of your own, instead of the configured agents.
        chat_model: a LangChain chat model of your own, instead of the one that the settings name.

    Raises:
        ConfigError: a setting or the agents file is invalid; the message says what to change.
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
            async with _mcp_endpoint(services) as app.state.mcp:
                yield
        finally:
            await services.close()

    app = Application(
        title="Smart Support",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path or "/"}],
        lifespan=lifespan,
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "exclude": is_unobserved},
    )
    app.state.services = services
    app.trusted_proxies = settings.trusted_proxies
    app.sub_path = settings.root_path
    app.public_url = settings.public_url
    app.add_middleware(BodyLimitMiddleware, import_bytes=settings.max_spec_bytes)
    app.add_middleware(AuthenticationMiddleware)
    app.add_middleware(SameOriginMiddleware, has_public_name=services.accounts.is_login_required)
    add_error_handlers(app)
    # The first one, because an agent calls it often, and the router tries one route after the other.
    app.router.routes.append(Route("/mcp", _McpRoute(), include_in_schema=False))
    others = (websocket.router, login.router, decide.router, single_sign_on.router)
    add_routes(app, (*routes.ROUTERS, *others))
    mount_console(app, services)
    return app
