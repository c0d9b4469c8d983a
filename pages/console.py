"""The console: its header and tabs, and how it is mounted. Each tab is a module with a `build` function."""

from contextlib import AbstractContextManager, nullcontext
from html import escape
from typing import Any

import gradio as gr
import gradio.blocks
import gradio.utils
import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette._utils import get_route_path
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages import analytics, api_import, approval_list, approvals, callers, chat, inbox, replay, theme
from pages.bundle import bundle_all
from pages.gradio_allowlist import GradioAllowlist
from pages.gradio_api import add_api
from pages.gradio_files import GradioFiles
from pages.gradio_queue import use_waiting_queue
from pages.gradio_requests import API
from pages.gradio_routes import needed_routes_only, replaced, take_over_included
from smart_support.identity.users import User
from smart_support.invisible import RANGES, SYMBOLS
from smart_support.money import DECIMALS
from smart_support.services import Services

NAME = "Smart Support"
_PAGES = ("", "/", "/config", "/gradio_api/info")
_SHELL = """
<header class="ss-shell">
  <span class="ss-logo" aria-hidden="true"></span>
  <h1 class="ss-name">Smart Support</h1>
  <span class="ss-company" title="Company">{company}</span>
  <span class="ss-state" id="ss-state" data-state="connecting" role="status">
    <i></i><span>Connecting…</span></span>
  <span class="ss-gap"></span>
  <span class="ss-chip ss-model" title="Model">{model}</span>
  <button type="button" class="ss-chip ss-pending" id="ss-pending">No pending approvals</button>
  <form id="ss-me" class="ss-me" method="post" action="{root}/logout" hidden><span class="ss-chip"></span>
    <button class="ss-button ss-button--quiet">Log out</button></form>
  <button type="button" class="ss-button ss-button--quiet" id="ss-alerts">Alerts off</button>
  <button type="button" class="ss-button ss-button--quiet" id="ss-freeze" hidden>Freeze…</button>
  <button type="button" class="ss-button ss-button--quiet" id="ss-look" aria-label="Switch theme">◐</button>
</header>
<div id="ss-freezes" role="status" hidden></div>
"""
_ON_LOAD = "(window.ssMounts ??= []).push(['shell', element], ['freezes', element], ['alerts', element]);"
# Gradio's "Loading…" counts the seconds in each frame, and goes on when it has left the page: an open console
# would work for ever, at a tenth of a core. Nothing here shows that time.
_WITHOUT_LOADING_TIMER = rb"""<script>{
const request = window.requestAnimationFrame.bind(window);
const countsSeconds = (callback) => /performance\.now\(\)-.*1e3/.test(callback.toString());
window.requestAnimationFrame = (callback) => countsSeconds(callback) ? 0 : request(callback);
}</script>"""


def build_console(services: Services) -> gr.Blocks:
    """The whole page."""
    with gr.Blocks(title=NAME, fill_width=True, analytics_enabled=False) as console:
        gr.HTML(
            _SHELL.format(
                model=_model(services.settings.model),
                company=escape(_company(services)),
                root=services.settings.root_path,
            ),
            js_on_load=_ON_LOAD,
            apply_default_css=False,
            elem_id="ss-top",
        )
        # All in one row, which can be moved sideways: by default tabs that don't fit go behind a button, and
        # Gradio may measure them before the page has its styles.
        with gr.Tabs(elem_id="ss-tabs", overflow_behavior="wrap"):
            _build_first_tab(services, console)
            with gr.Tab("Inbox", id="inbox", elem_id="ss-tab-inbox"):
                inbox.build()
            with gr.Tab("Approvals", id="approvals", elem_id="ss-tab-approvals"):
                approval_list.build()
            with gr.Tab("Analytics", id="analytics", elem_id="ss-tab-analytics"):
                analytics.build()
            with gr.Tab("Replay", id="replay"):
                replay.build()
            with gr.Tab("Callers", id="callers", elem_id="ss-tab-callers"):
                callers.build()
            with gr.Tab("API", id="api", elem_id="ss-tab-api"):
                api_import.build()
        add_api(services)
    return console


def _build_first_tab(services: Services, console: gr.Blocks) -> None:
    with gr.Tab("Console", id="console"), gr.Row(elem_id="ss-console"):
        with gr.Column(scale=7, min_width=320, elem_id="ss-chat-side"):
            chat.build(services, console)
        with gr.Column(scale=4, min_width=320, elem_id="ss-approvals-side"):
            approvals.build()


def mount(app: FastAPI, services: Services) -> None:
    """Mount the console on the app. Call it after all other routes, as the console takes every other path."""
    files = GZipMiddleware(_ConsoleFiles(directory=theme.STATIC), compresslevel=6)
    app.mount(theme.STATIC_PATH, files, name="console-static")
    with _without_unmounted_apps():
        console = build_console(services)
    use_waiting_queue(console)
    with needed_routes_only():
        _mount(app, console, services)
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    take_over_included(mounted.routes)
    console.app = mounted.app
    # Around each step of a function, Gradio searches the disk for Matplotlib. Nothing here plots.
    gradio.utils.MatplotlibBackendMananger = nullcontext
    app.router.routes[:0] = [GradioFiles("", app=mounted.app), _Calls("", app=mounted.app)]


def _mount(app: FastAPI, console: gr.Blocks, services: Services) -> None:
    gr.mount_gradio_app(
        app,
        console,
        path="/",
        root_path=services.settings.root_path or None,
        ssr_mode=False,
        run_history=False,
        mcp_server=False,
        # Only what `with_clear_errors` words is shown; the text of another exception may hold anything.
        show_error=False,
        app_kwargs={
            "middleware": [
                Middleware(GradioAllowlist),
                Middleware(_CompressedPages),
                Middleware(_PagesWithoutTimer),
            ]
        },
        auth_dependency=_username if services.accounts.is_login_required else None,
        footer_links=["api"],
        theme=theme.theme(),
        head=_config(services) + theme.head(services.settings.root_path),
    )


class _Calls(Mount):
    """Gradio's app for the calls of its functions: as the first route, so that none of ours is tried."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the base class, for these calls only."""
        return super().matches(scope) if get_route_path(scope).startswith(API) else (Match.NONE, {})


def _without_unmounted_apps() -> AbstractContextManager[None]:
    """Let Gradio build its FastAPI app once.

    `Blocks` builds one when its context ends and one for its queue; `mount_gradio_app` builds a third one and
    uses only that. Each takes as long as all routes of this product.
    """
    return replaced(gradio.blocks, "App", _NoApp)


class _NoApp:
    @staticmethod
    def create_app(*_: Any, **__: Any) -> None:
        return None


def _username(request: Request) -> str:
    """The authenticated user's name, which Gradio passes to the console's functions."""
    user: User = request.state.user
    return user.name


class _ConsoleFiles(StaticFiles):
    """The bundles, which browsers keep for ever, and the files they are made of, for browsers' tools."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        bundle = bundle_all(theme.STATIC).find(path)
        return bundle.response(path, scope) if bundle else await super().get_response(path, scope)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


class _CompressedPages:
    """ASGI middleware that compresses what Gradio does not: what has no file ending."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and get_route_path(scope) in _PAGES
        await (self._compressed if is_page else self._app)(scope, receive, send)


class _PagesWithoutTimer:
    """ASGI middleware that puts a script before Gradio's own ones, which come before those of `head`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_page(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start:
                body = message.get("body", b"")
                message = {**message, "body": body.replace(b"<head>", b"<head>" + _WITHOUT_LOADING_TIMER, 1)}
                headers = MutableHeaders(raw=start["headers"])
                if "content-length" in headers:
                    added = len(message["body"]) - len(body)
                    headers["content-length"] = str(int(headers["content-length"]) + added)
                await send(start)
                start = None
            await send(message)

        is_page = scope["type"] == "http" and get_route_path(scope) in ("", "/")
        await self._app(scope, receive, send_page if is_page else send)


def _config(services: Services) -> str:
    """A script with what the console's scripts need, and a promise of the chat's functions (`chat.js`)."""
    config = {
        "agents": {agent.name: agent.title for agent in services.team.agents},
        "canned_replies": [one.model_dump() for one in services.team.canned_replies],
        "has_customer_card": services.team.customer_card is not None,
        "undo_seconds": services.settings.undo_seconds,
        "canned_rejections": [one.model_dump() for one in services.team.canned_rejections],
        "invisible": RANGES,
        "symbols": SYMBOLS,
        "decimals": DECIMALS,
    }
    # A script element ends at the first "</", even inside a string.
    encoded = orjson.dumps(config).decode().replace("<", "\\u003c")
    chat = "window.ssChat = new Promise((resolve) => { window.resolveChat = resolve; });"
    return f"<script>window.ssConfig = {encoded}; {chat}</script>"


def _company(services: Services) -> str:
    """The company that the agents work for; empty for a graph without an agents file."""
    return services.team.company if services.team.company != NAME else ""


def _model(name: str) -> str:
    if name == "demo":
        return 'Demo<span class="ss-wide"> model: rule-based, no language model</span>'
    return escape(name.removeprefix("openai:"))
