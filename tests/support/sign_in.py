"""The interfaces of a login alone, without console and agents, in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from fastapi import FastAPI
from limits.storage import MemoryStorage
from starlette.types import ASGIApp

from smart_support import Settings
from smart_support.api import login, single_sign_on
from smart_support.api.envelope import add_error_handlers
from smart_support.api.middleware.authentication import AuthenticationMiddleware
from smart_support.api.middleware.proxy_headers import TrustedProxiesMiddleware
from smart_support.api.middleware.root_path import RootPathMiddleware
from smart_support.api.middleware.same_origin import SameOriginMiddleware
from smart_support.api.middleware.security_headers import SecurityHeadersMiddleware
from smart_support.api.rest_router import add_routes
from smart_support.api.routes import agents
from smart_support.audit import AuditTrail
from smart_support.identity.failed_login_audit import FailedLogins
from smart_support.identity.known_logins import KnownLogins
from smart_support.identity.logins import Logins
from smart_support.identity.single_sign_on.people import people_of
from smart_support.identity.single_sign_on.service import SingleSignOn
from smart_support.identity.throttle import LoginThrottle
from smart_support.identity.users import Accounts
from smart_support.storage.state.base import StateDatabase
from tests.support.stores import state_of

BASE = "http://127.0.0.1:7860"


class SignInApp:
    """A process of the system, as far as logins go. Processes of one system share the state.

    Attributes:
        single_sign_on: the logins with the identity provider.
        accounts, logins, state: as of `Services`.
    """

    def __init__(self, settings: Settings, state: StateDatabase) -> None:
        self.state = state
        self.accounts = Accounts(settings.users_file, settings.api_keys, settings.oidc_issuer)
        self.logins = Logins(state, self.accounts)
        trail, rates, known = AuditTrail(state), MemoryStorage(), KnownLogins(state, self.accounts)
        self.single_sign_on = (
            SingleSignOn(
                settings, accounts=self.accounts, state=state, logins=self.logins, trail=trail, rates=rates
            )
            if settings.oidc_issuer
            else None
        )
        app = FastAPI()
        app.state.services = SimpleNamespace(
            settings=settings,
            accounts=self.accounts,
            logins=self.logins,
            known_logins=known,
            login_throttle=LoginThrottle(rates, known),
            failed_logins=FailedLogins(trail, self.accounts),
            audit_trail=trail,
            single_sign_on=self.single_sign_on,
        )
        app.add_middleware(AuthenticationMiddleware)
        app.add_middleware(SameOriginMiddleware, has_public_name=self.accounts.is_login_required)
        add_error_handlers(app)
        add_routes(app, (login.router, single_sign_on.router, agents.router))
        inner: ASGIApp = SecurityHeadersMiddleware(app)
        inner = RootPathMiddleware(inner, settings.root_path)
        self._app = TrustedProxiesMiddleware(inner, trusted="", public_url=settings.public_url)

    def browser(self, base: str = BASE) -> httpx.AsyncClient:
        """A browser with cookies of its own, which follows no redirect by itself."""
        transport = httpx.ASGITransport(app=self._app)
        return httpx.AsyncClient(transport=transport, base_url=base, headers={"Accept": "text/html"})

    async def audit(self, *kinds: str) -> list[dict[str, Any]]:
        """The audit rows of these kinds."""
        rows = await self.state.read("SELECT kind, actor, via, detail FROM audit ORDER BY number")
        return [row for row in rows if row["kind"] in kinds]


@asynccontextmanager
async def sign_in_app(settings: Settings, folder: Path) -> AsyncIterator[SignInApp]:
    """The app with a state database in a folder."""
    with closing(state_of(folder)) as state:
        app = SignInApp(settings, state)
        app.accounts.remember(await people_of(state))
        yield app
