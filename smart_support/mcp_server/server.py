"""The MCP server: lists a client's tools, calls them as actions, and says when the list has changed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    NotificationParams,
    PaginatedRequestParams,
)

from smart_support.actions.action import UNSETTLED, Action, ActionRequest, Client
from smart_support.actions.service import Actions
from smart_support.errors import InvalidRequest, NotFound, SmartSupportError
from smart_support.identity.users import User
from smart_support.mcp_server.description import INSTRUCTIONS, META_PREFIX
from smart_support.mcp_server.results import (
    GET_ACTION,
    action_answer,
    answer_of,
    described,
    get_action_tool,
    refusal,
)
from smart_support.observability.log import get_logger
from smart_support.version import __version__

log = get_logger()
Context = ServerRequestContext[Any, Any]
SECONDS_BETWEEN_PROGRESS = 5.0
# Of the open sessions, which are notified of changes. A session without a request for this long has ended.
MAX_SESSIONS, SESSION_SECONDS = 10_000, 3600.0


class McpServer(Server[Any]):
    """The tools of each client, by the key of its request. Whatever fails is an answer with `isError`."""

    def __init__(self, actions: Actions, *, wait_seconds: float) -> None:
        """`wait_seconds`: how long the call of a write waits for its decision."""
        bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(bus)
        super().__init__(
            "smart-support",
            version=__version__,
            title="Smart Support",
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._listening,
            # No argument of ours is sent as a header. Without this, the SDK lists the tools before each call.
            get_tool_input_schema=lambda name: None,
        )
        self.add_notification_handler("notifications/initialized", NotificationParams, self._remember)
        self._loop = asyncio.get_running_loop()
        self._actions = actions
        self._wait_seconds = wait_seconds
        self._bus = bus
        self._sessions: OrderedDict[str, tuple[float, ServerSession]] = OrderedDict()
        self._notifying: set[asyncio.Task[None]] = set()

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """See `Server.create_initialization_options`: the list of tools may change."""
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)

    def tools_changed(self) -> None:
        """Notify the clients that their list of tools may have changed. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._start_notifying)

    def _start_notifying(self) -> None:
        task = self._loop.create_task(self._notify_clients())
        self._notifying.add(task)
        task.add_done_callback(self._notifying.discard)

    def forget(self, session_id: str) -> None:
        """Forget a session that its client has ended."""
        self._sessions.pop(session_id, None)

    def stop_listening(self) -> None:
        """End the open streams of clients that wait for changes."""
        self._listening.close()

    async def _notify_clients(self) -> None:
        await self._bus.publish(ToolsListChanged())
        since = time.monotonic() - SESSION_SECONDS
        for session_id, (used_at, session) in list(self._sessions.items()):
            if used_at < since:
                self.forget(session_id)
                continue
            try:
                await session.send_tool_list_changed()
            except Exception as error:
                log.info("client_not_notified", error=repr(error))

    async def _remember(self, context: Context, params: NotificationParams | None) -> None:
        if session_id := _session_id(context):
            self._sessions[session_id] = time.monotonic(), context.session
            self._sessions.move_to_end(session_id)
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)

    async def _list_tools(self, context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        tools = [described(tool) for tool in await self._actions.tools(_user(context))]
        own = get_action_tool(self._wait_seconds)
        return ListToolsResult(tools=[*(tool for tool in tools if tool.name != own.name), own])

    async def _call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        await self._remember(context, None)
        try:
            user, args = _user(context), params.arguments or {}
            if params.name == GET_ACTION:
                return await self._get_action(context, user, args)
            action = await self._actions.request(user, _request(context, params, args))
            action = await self._wait(context, action, self._wait_seconds)
            return answer_of(action, self._actions.callers.tool(action.tool))
        except SmartSupportError as error:
            return refusal(error)
        except Exception as error:
            log.error("mcp_call_failed", tool=params.name[:100], error=repr(error))
            return refusal(SmartSupportError("Something broke on our side; try again later."))

    async def _get_action(self, context: Context, user: User, args: Mapping[str, Any]) -> CallToolResult:
        action_id, seconds = args.get("action_id"), args.get("wait_seconds", 0)
        if not isinstance(action_id, str):
            raise InvalidRequest("action_id: give it as text")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise InvalidRequest("wait_seconds: give a number")
        if not seconds >= 0 or set(args) - {"action_id", "wait_seconds"}:
            raise InvalidRequest("give action_id, and wait_seconds of 0 or more")
        try:
            action = await self._actions.get(user, action_id)
        except NotFound as error:
            raise NotFound(f"{error.message}; action_id is what the call of a tool answered") from None
        return action_answer(await self._wait(context, action, min(seconds, self._wait_seconds)))

    async def _wait(self, context: Context, action: Action, seconds: float) -> Action:
        """Wait until an action is settled. Progress keeps clients from giving up meanwhile."""
        started = time.monotonic()
        while action.status in UNSETTLED:
            passed = time.monotonic() - started
            if passed >= seconds:
                break
            await context.session.report_progress(passed, seconds, action.message or "Running")
            action = await self._actions.wait(action, min(SECONDS_BETWEEN_PROGRESS, seconds - passed))
            if self._actions.is_closing:
                break
        return action


def _request(context: Context, params: CallToolRequestParams, args: dict[str, Any]) -> ActionRequest:
    meta = {**(params.meta or {})}
    given: dict[str, str | None] = {}
    for name in ("thread_id", "reason", "customer_token", "idempotency_key"):
        value = meta.get(META_PREFIX + name)
        if value is not None and not isinstance(value, str):
            raise InvalidRequest(f"_meta {META_PREFIX}{name}: give text")
        given[name] = value
    client_params = context.session.client_params
    info = client_params.client_info if client_params else None
    client = Client(
        client_name=info.name if info else None,
        client_version=info.version if info else None,
        session=_session_id(context),
        reason=given.pop("reason") or None,
    )
    return ActionRequest(tool=params.name, args=args, channel="mcp", client=client, **given)


def _user(context: Context) -> User:
    """The user of the HTTP request, as the app has authenticated it."""
    assert context.request is not None, "this server answers over HTTP"
    user: User = context.request.scope["state"]["user"]
    return user


def _session_id(context: Context) -> str | None:
    session_id: str | None = context.request.headers.get("mcp-session-id") if context.request else None
    return session_id
