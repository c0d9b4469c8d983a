"""MCP stdio transport: JSON-RPC over a child process's standard input and output, one message per line.

Replaces the SDK's `stdio_client`, which buffers a line of any length in memory.
"""

import sys
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
from smart_support.outbound.client import ReadLimit

__all__ = ["stdio_transport"]

# How long the server may take to exit once its input is closed, and again after SIGTERM.
_EXIT_SECONDS = 2.0
_Incoming = SessionMessage | Exception


def stdio_transport(
    command: Sequence[str], limit: ReadLimit, *, on_failure: Callable[[SmartSupportError], None]
) -> Transport:
    """A transport for `mcp.Client` that starts the server, and ends it with all its child processes.

    Args:
        limit: of everything that the server writes.
        on_failure: called when the limit is exceeded; it must end the session.
    """
    return _session(command, limit, on_failure)


@asynccontextmanager
async def _session(
    command: Sequence[str], limit: ReadLimit, on_failure: Callable[[SmartSupportError], None]
) -> AsyncIterator[tuple[ObjectReceiveStream[_Incoming], ObjectSendStream[SessionMessage]]]:
    process = await anyio.open_process(
        list(command), env=get_default_environment(), stderr=sys.stderr, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    incoming, received = anyio.create_memory_object_stream[_Incoming](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process.stdout, incoming, limit, on_failure)
        tasks.start_soon(_write, process.stdin, to_send)
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
    limit: ReadLimit,
    on_failure: Callable[[SmartSupportError], None],
) -> None:
    line = bytearray()
    try:
        async with incoming:
            async for chunk in output:
                limit.take(chunk, "the MCP server", lines=True)
                *line_ends, rest = chunk.split(b"\n")
                for end in line_ends:
                    await incoming.send(_message(bytes(line) + end))
                    line.clear()
                line += rest
    except ResponseTooLarge as error:
        on_failure(error)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        return  # the session or the process has ended


async def _write(to_server: ByteSendStream, messages: ObjectReceiveStream[SessionMessage]) -> None:
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async for message in messages:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await to_server.send(f"{text}\n".encode())


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
