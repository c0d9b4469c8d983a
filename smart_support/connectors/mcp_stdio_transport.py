"""MCP stdio transport: JSON-RPC over a child process's standard input and output, one message per line.

Replaces the SDK's `stdio_client`, which buffers a line of any length in memory and passes the server's
standard error to our terminal.
"""

import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, ObjectReceiveStream, ObjectSendStream, Process
from mcp.client import Transport
from mcp.client.stdio import get_default_environment
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from smart_support.errors import ResponseTooLarge, SmartSupportError
from smart_support.observability.log import get_logger

__all__ = ["stdio_transport"]

log = get_logger()
# How long the server may take to exit once its input is closed, and again after SIGTERM.
_EXIT_SECONDS = 2.0
# Of standard error, for each process: what comes after that is read and dropped.
_MAX_ERROR_LINES = 200
_MAX_ERROR_LINE = 500
_Incoming = SessionMessage | Exception


def stdio_transport(
    name: str,
    command: Sequence[str],
    *,
    take: Callable[[bytes], None],
    on_message: Callable[[], None],
    on_end: Callable[[SmartSupportError | None], None],
) -> Transport:
    """A transport for `mcp.Client` that starts the server, and ends it with all its child processes.

    Args:
        name: the server's, for the log.
        take: called with all that the server writes; raises `ResponseTooLarge` where that is too much.
        on_message: called for each message of the server.
        on_end: called when the server writes no more, or too much; it must end the session.
    """
    return _session(name, command, take, on_message, on_end)


@asynccontextmanager
async def _session(
    name: str,
    command: Sequence[str],
    take: Callable[[bytes], None],
    on_message: Callable[[], None],
    on_end: Callable[[SmartSupportError | None], None],
) -> AsyncIterator[tuple[ObjectReceiveStream[_Incoming], ObjectSendStream[SessionMessage]]]:
    process = await anyio.open_process(
        list(command), env=get_default_environment(), stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    incoming, received = anyio.create_memory_object_stream[_Incoming](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process.stdout, incoming, take, on_message, on_end)
        tasks.start_soon(_write, process.stdin, to_send)
        tasks.start_soon(_log_errors, name, process.stderr)
        try:
            yield received, outgoing
        finally:
            # The process must end even if the caller is cancelled. Each wait below has a time limit.
            with anyio.CancelScope(shield=True):
                await _end(process)
                for stream in (incoming, received, outgoing, to_send):
                    await stream.aclose()
            tasks.cancel_scope.cancel()


async def _read(
    output: ByteReceiveStream,
    incoming: ObjectSendStream[_Incoming],
    take: Callable[[bytes], None],
    on_message: Callable[[], None],
    on_end: Callable[[SmartSupportError | None], None],
) -> None:
    line = bytearray()
    failure: SmartSupportError | None = None
    try:
        async with incoming:
            async for chunk in output:
                take(chunk)
                *line_ends, rest = chunk.split(b"\n")
                for end in line_ends:
                    message = _message(bytes(line) + end)
                    line.clear()
                    on_message()
                    await incoming.send(message)
                line += rest
    except ResponseTooLarge as error:
        failure = error
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        pass  # the session or the process has ended
    on_end(failure)


async def _write(to_server: ByteSendStream, messages: ObjectReceiveStream[SessionMessage]) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for message in messages:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await to_server.send(f"{text}\n".encode())


async def _log_errors(name: str, errors: ByteReceiveStream) -> None:
    """Log what the server writes to its standard error, which could hold what a terminal obeys."""
    line, logged = bytearray(), 0
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for chunk in errors:
            *line_ends, rest = chunk.split(b"\n")
            for end in line_ends:
                logged += 1
                if logged <= _MAX_ERROR_LINES:
                    text = (bytes(line) + end)[:_MAX_ERROR_LINE].decode("utf-8", "replace").strip()
                    log.info("mcp_server_wrote", server=name, line=text)
                line.clear()
            line += rest[: _MAX_ERROR_LINE - len(line)]


def _message(line: bytes) -> _Incoming:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _end(process: Process) -> None:
    """End the process as the MCP specification requires: close its input, wait, then send signals."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    with anyio.move_on_after(_EXIT_SECONDS):
        await process.wait()
    # The server's child processes may outlive it.
    await terminate_posix_process_tree(process, _EXIT_SECONDS)
    with anyio.move_on_after(_EXIT_SECONDS):
        await process.wait()
    await process.aclose()
