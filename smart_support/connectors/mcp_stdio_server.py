"""Keeps one process for each MCP server that the operator configured by command.

The process starts with the first request and serves all later ones, side by side. If it ends, or no longer
answers, the next request starts a new one.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import anyio
from mcp import Client
from mcp.client.session import IncomingMessage
from mcp.types import Implementation, ToolListChangedNotification

from smart_support.concurrency import wait_for_end
from smart_support.connectors.mcp_stdio_transport import stdio_transport
from smart_support.errors import SmartSupportError, ToolNotReached
from smart_support.observability.log import get_logger
from smart_support.outbound.client import ReadLimit

__all__ = ["StdioServer"]

log = get_logger()
Result = TypeVar("Result")
# A server that ends by itself this often within these seconds is not started again before they have passed.
MAX_ENDS = 5
ENDS_SECONDS = 60.0
# A request that was given up after this share of its time was not answered; it was not cancelled by a person.
_GIVEN_UP = 0.9


class StdioServer:
    """One configured server and its process."""

    def __init__(
        self, name: str, command: Sequence[str], info: Implementation, limit: Callable[[], ReadLimit]
    ) -> None:
        """
        Args:
            info: what the server is told of its client.
            limit: a limit for what the server writes during one request.
        """
        self._name, self._command, self._info, self._limit = name, command, info, limit
        self._current: _Process | None = None
        self._processes: set[_Process] = set()
        self._ends: deque[float] = deque(maxlen=MAX_ENDS)
        self._tool_changes = 0

    @property
    def tool_changes(self) -> int | None:
        """How often its tools may have changed: at a start, or when it says so. None without a process."""
        is_running = self._current is not None and not self._current.is_retired
        return self._tool_changes if is_running else None

    @property
    def processes(self) -> int:
        """How many processes there are: one, and those that end."""
        return len(self._processes)

    async def request(self, seconds: float, work: Callable[[Client], Awaitable[Result]]) -> Result:
        """Do the work with the server's session.

        Raises:
            ToolNotReached: the server has ended too often in the last minute.
            TimeoutError: there is no result within `seconds`.
            ResponseTooLarge: the server wrote more than the limit.
            Exception: what starting the server, or `work`, raises.
        """
        process = self._usable()
        messages, began = process.messages, anyio.current_time()
        try:
            with anyio.fail_after(seconds), process.in_use(self._limit()):
                return await work(await process.client())
        except (TimeoutError, asyncio.CancelledError):
            is_given_up = anyio.current_time() - began > seconds * _GIVEN_UP
            if is_given_up and process.messages == messages:
                # It has said nothing all the while, so it would not answer others either.
                self._ends.append(anyio.current_time())
                process.retire()
            raise
        except Exception as error:
            raise process.failure or error from None

    def retire(self) -> None:
        """End the process once it has answered what it was asked. The next request starts a new one."""
        if self._current:
            self._current.retire()

    async def close(self) -> None:
        """End all processes of this server now."""
        processes = tuple(self._processes)
        for process in processes:
            process.stop()
        await wait_for_end(*(process.task for process in processes))

    def _usable(self) -> "_Process":
        if self._current is None or self._current.is_retired:
            now = anyio.current_time()
            if len(self._ends) == MAX_ENDS and now - self._ends[0] < ENDS_SECONDS:
                raise ToolNotReached(f"{self._name} has ended {MAX_ENDS} times; try again in a minute.")
            self._tool_changes += 1
            self._current = process = _Process(
                self._name, self._command, self._info, self._ended, self._tools_changed
            )
            self._processes.add(process)
            process.task.add_done_callback(lambda _: self._processes.discard(process))
        return self._current

    def _tools_changed(self) -> None:
        self._tool_changes += 1

    def _ended(self) -> None:
        log.warning("mcp_server_ended", server=self._name)
        self._ends.append(anyio.current_time())


class _Process:
    """A running server and its session, which belongs to a task of its own.

    Attributes:
        failure: why the process was ended, where it wrote too much.
        messages: how many the server has sent.
        is_retired: it takes no more requests.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        info: Implementation,
        on_end: Callable[[], None],
        on_tools_changed: Callable[[], None],
    ) -> None:
        self.failure: SmartSupportError | None = None
        self.messages = 0
        self.is_retired = False
        self._on_end, self._on_tools_changed = on_end, on_tools_changed
        self._limit: ReadLimit | None = None
        self._requests = 0
        self._stopping = asyncio.Event()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        # Whoever waits for it has been given it; where nobody waits, nobody needs to know.
        self._ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())
        # What the server does later belongs to no conversation, so its log lines have no ids.
        self.task = asyncio.create_task(self._run(name, command, info), context=contextvars.Context())

    async def client(self) -> Client:
        """The session, once it is open."""
        return await asyncio.shield(self._ready)

    @contextmanager
    def in_use(self, limit: ReadLimit) -> Iterator[None]:
        """Keep the process while a request runs. `limit`: of what it writes from now on."""
        self._requests += 1
        self._limit = limit
        try:
            yield
        finally:
            self._requests -= 1
            self._stop_if_idle()

    def retire(self) -> None:
        """Take no more requests, and end once the present ones have ended."""
        self.is_retired = True
        self._stop_if_idle()

    def stop(self) -> None:
        """End now."""
        self.is_retired = True
        self._stopping.set()
        if not self._ready.done():
            self.task.cancel()

    def _stop_if_idle(self) -> None:
        if self.is_retired and not self._requests:
            self.stop()

    async def _run(self, name: str, command: Sequence[str], info: Implementation) -> None:
        transport = stdio_transport(
            name, command, take=self._take, on_message=self._count, on_end=self._server_ended
        )
        try:
            client = Client(
                transport, mode="auto", cache=None, client_info=info, message_handler=self._handle_message
            )
            async with client:
                self._ready.set_result(client)
                await self._stopping.wait()
        except Exception as error:
            if self._ready.done():
                log.info("mcp_session_not_closed", server=name, error=repr(error))
            else:
                self._ready.set_exception(self.failure or error)
                self._on_end()
        finally:
            self.is_retired = True
            if not self._ready.done():
                self._ready.cancel()

    async def _handle_message(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._on_tools_changed()

    def _take(self, piece: bytes) -> None:
        if self._limit:
            self._limit.take(piece, "the MCP server", lines=True)

    def _count(self) -> None:
        self.messages += 1

    def _server_ended(self, failure: SmartSupportError | None) -> None:
        if self._stopping.is_set():
            return
        self.failure = failure
        if self._ready.done():
            self._on_end()
        # Before it is ready, its client fails by itself and is told why there.
        self.is_retired = True
        self._stopping.set()
