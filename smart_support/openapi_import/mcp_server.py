"""Tools of an MCP server, brought into the same review: listed once, then called by name like any operation.

What a server says of its own tools (their hints among it) is content: it never makes a write a read.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from langchain_mcp_adapters.sessions import Connection, create_session
from mcp import ClientSession
from mcp.types import CallToolResult, PaginatedRequestParams, TextContent
from mcp.types import Tool as McpTool

from smart_support.errors import (
    InvalidRequest,
    SmartSupportError,
    ToolFailed,
    ToolRefused,
    ToolUnauthorized,
    ToolUnavailable,
)
from smart_support.log import get_logger
from smart_support.net import ResponseTooLarge, guarded_transport
from smart_support.openapi_import.naming import tool_names
from smart_support.openapi_import.operation import Document, Operation, SecurityScheme
from smart_support.openapi_import.references import References
from smart_support.openapi_import.tool_schema import self_contained

log = get_logger()
TOKEN = "token"
MCP_SCHEMES = {TOKEN: SecurityScheme(name=TOKEN, kind="bearer", description="Where the server asks for one.")}
MAX_TOOLS = 500
MAX_ANSWER_BYTES = 2_000_000
LIST_SECONDS = 30.0


class McpServers:
    """The servers that can be asked: those an operator has declared by command, and any by address."""

    def __init__(self, declared: Mapping[str, list[str]], allowed_hosts: frozenset[str]) -> None:
        """`declared`: name -> command and arguments; only the operator says what runs on this machine."""
        self._declared = declared
        self._allowed = allowed_hosts

    def check(self, source: str) -> None:
        """Raise `InvalidRequest` unless the source is a declared server or an address."""
        if source not in self._declared and not source.startswith(("http://", "https://")):
            known = ", ".join(self._declared) or "none are declared"
            raise InvalidRequest(
                f"mcp: {source[:100]!r} is neither an address nor one of SMART_SUPPORT_MCP_SERVERS ({known})"
            )

    async def listed(self, source: str, token: str | None = None) -> dict[str, Any]:
        """What a server offers, as it is kept: its name and its tools. `token` as of `call`.

        Raises:
            ToolUnavailable: it can't be asked, or does not answer in time.
        """
        try:
            async with (
                asyncio.timeout(LIST_SECONDS),
                self._session(source, token) as (session, title, version),
            ):
                tools = await _all_tools(session)
        except TimeoutError:
            raise ToolUnavailable(
                f"The MCP server {source[:100]} did not answer within {LIST_SECONDS:g} s."
            ) from None
        kept = [
            {"name": tool.name, "description": tool.description or "", "schema": tool.inputSchema}
            for tool in tools
        ]
        return {"mcp": {"title": title or source, "version": version}, "tools": kept}

    async def call(
        self, source: str, name: str, args: Mapping[str, Any], *, token: str | None, key: str | None
    ) -> Any:
        """What a tool gave: JSON where it is JSON, else text.

        Args:
            token: sent as a bearer token, where one was entered.
            key: the idempotency key, sent with the request's `_meta`.

        Raises:
            ToolRefused: the tool said no.
            ToolFailed: the server could not be asked at all; nothing was called.
            ToolUnavailable: the call was sent and no answer came back.
        """
        called = False
        try:
            async with self._session(source, token) as (session, _, _):
                called = True
                meta = {"idempotencyKey": key} if key else None
                return _understood(await session.call_tool(name, dict(args), meta=meta))
        except (ToolRefused, ResponseTooLarge):
            raise
        except ToolUnavailable as error:
            if called:
                raise
            raise ToolFailed(error.message) from None

    @asynccontextmanager
    async def _session(self, source: str, token: str | None) -> AsyncIterator[tuple[ClientSession, str, str]]:
        try:
            async with create_session(self._connection(source, token)) as session:
                info = (await session.initialize()).serverInfo
                yield session, info.name, info.version
        except Exception as error:
            refused = _within(error)
            if refused:
                raise refused from None
            log.warning("mcp_server_failed", source=source, error=repr(error))
            if _is_unauthorized(error):
                raise ToolUnauthorized(
                    f"The MCP server {source[:100]} asks for a token; enter the one that it gives out."
                ) from None
            raise ToolUnavailable(
                f"The MCP server {source[:100]} can't be reached just now; please try again later."
            ) from None

    def _connection(self, source: str, token: str | None) -> Connection:
        if source in self._declared:
            command, *arguments = self._declared[source]
            return {"transport": "stdio", "command": command, "args": arguments}
        return {
            "transport": "streamable_http",
            "url": source,
            "headers": {"Authorization": f"Bearer {token}"} if token else None,
            "httpx_client_factory": self._http,
        }

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
        auth: httpx.Auth | None = None,
    ) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=headers,
            timeout=timeout,
            auth=auth,
            transport=guarded_transport(self._allowed),
            trust_env=False,
        )


async def _all_tools(session: ClientSession) -> list[McpTool]:
    """The tools, page by page, up to `MAX_TOOLS`."""
    tools: list[McpTool] = []
    cursor: str | None = None
    while len(tools) < MAX_TOOLS:
        page = await session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        tools += page.tools
        cursor = page.nextCursor
        if not cursor:
            break
    return tools[:MAX_TOOLS]


def mcp_document(loaded: Mapping[str, Any]) -> Document:
    """What was listed, as a document: each tool one POST, since nothing proves that it only reads."""
    names = tool_names({f"POST /{tool['name']}": tool["name"] for tool in loaded["tools"]})
    return Document(
        title=loaded["mcp"]["title"],
        version=loaded["mcp"]["version"],
        format="mcp",
        schemes=MCP_SCHEMES,
        operations=tuple(
            _operation(tool, names[f"POST /{tool['name']}"], loaded["mcp"]["title"])
            for tool in loaded["tools"]
        ),
    )


def _operation(tool: Mapping[str, Any], tool_name: str, server: str) -> Operation:
    schema, findings = self_contained(tool["schema"], References(dict(tool["schema"])))
    return Operation(
        key=f"POST /{tool['name']}",
        method="POST",
        path=f"/{tool['name']}",
        tool_name=tool_name,
        operation_id=tool["name"],
        tags=(server,),
        summary=tool["description"].partition("\n")[0][:200],
        description=tool["description"][:4000],
        schema={"type": "object", "properties": {}} | schema,
        findings=findings,
    )


def _understood(result: CallToolResult) -> Any:
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.isError:
        raise ToolRefused(" ".join(text.split())[:300] or "The tool said no and gave no reason.")
    if len(text) > MAX_ANSWER_BYTES:
        raise ResponseTooLarge("The MCP server answered with more than can be read; ask for less at once.")
    if result.structuredContent is not None:
        return result.structuredContent
    try:
        return json.loads(text)
    except ValueError:
        return text or {"message": "Done."}


def _within(error: BaseException) -> SmartSupportError | None:
    """An error of ours that came wrapped in groups of a task group."""
    if isinstance(error, SmartSupportError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _within(one))), None)
    return _within(error.__cause__) if error.__cause__ else None


def _is_unauthorized(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_is_unauthorized, error.exceptions))
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403)
