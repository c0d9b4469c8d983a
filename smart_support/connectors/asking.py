"""How the operations of an import are called, wherever they came from: over HTTP, or of an MCP server."""

from collections.abc import Awaitable, Callable
from typing import Any

from smart_support.connectors.mcp import MCP_SCHEMES, TOKEN, McpServers
from smart_support.connectors.openapi.document.operation import Document, Operation
from smart_support.connectors.openapi.request.caller import Api, Caller
from smart_support.connectors.review.addresses import address, home
from smart_support.connectors.review.store import Job
from smart_support.connectors.review.vault import Vault
from smart_support.tools.registry import Args

__all__ = ["Ask", "Asking"]

Ask = Callable[[Operation, Args, str | None], Awaitable[Any]]


class Asking:
    """Calls operations with the credentials of their API."""

    def __init__(self, caller: Caller, mcp: McpServers, vault: Vault) -> None:
        self._caller, self._mcp, self._vault = caller, mcp, vault

    def of(self, job: Job, document: Document) -> Ask:
        """How an operation of a job is called, with arguments and an idempotency key.

        Raises:
            InvalidRequest: it is not known where.
        """
        return self._of_mcp(job) if job.kind == "mcp" else self._of_api(job, document)

    async def token(self, job: Job) -> str | None:
        """What was entered for an MCP server, to be sent to it alone."""
        entered = (await self._vault.of(job.api, MCP_SCHEMES, job.source)).get(TOKEN)
        return entered.values["token"] if entered else None

    def _of_mcp(self, job: Job) -> Ask:
        async def ask(operation: Operation, args: Args, key: str | None) -> Any:
            token = await self.token(job)
            name = operation.operation_id
            return await self._mcp.call(job.source, name, args, title=job.title, token=token, key=key)

        return ask

    def _of_api(self, job: Job, document: Document) -> Ask:
        at_home = home(job, document)

        async def ask(operation: Operation, args: Args, key: str | None) -> Any:
            base = address(job, document, operation)
            api = Api(job.title, base, document.schemes, job.api, at_home)
            return await self._caller.call(api, operation, args, key)

        return ask
