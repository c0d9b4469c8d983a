"""An MCP server as a child process: JSON-RPC on its standard input and output, one message a line.

In place of the SDK's own `stdio_client`, which keeps a line in memory however long it is.
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

# For the server to end by itself once its input is closed, and again after SIGTERM.
_EXIT_SECONDS = 2.0
_Incoming = SessionMessage | Exception


def stdio_transport(
    command: Sequence[str], limit: ReadLimit, *, on_failure: Callable[[SmartSupportError], None]
) -> Transport:
    """A transport for `mcp.Client` that starts the server, and ends it with all that it started.

    Args:
        limit: of all that the server writes.
        on_failure: told when the limit is reached; the session must end then.
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
            # A cancelled caller must not leave the process behind; each wait in here is limited.
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
            async for piece in output:
                limit.take(piece, "the MCP server", lines=True)
                *whole, rest = piece.split(b"\n")
                for end in whole:
                    await incoming.send(_message(bytes(line) + end))
                    line.clear()
                line += rest
    except ResponseTooLarge as error:
        on_failure(error)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        return  # the session is over, or the process is gone


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
    """End the process as the protocol asks for: close its input, wait, then signal."""
    assert process.stdin is not None
    with suppress(OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.aclose()
    with anyio.move_on_after(_EXIT_SECONDS):
        await process.wait()
    # Whatever the server has started ends with it, even where the server itself has ended.
    await terminate_posix_process_tree(process, _EXIT_SECONDS)
    with anyio.move_on_after(_EXIT_SECONDS):
        await process.wait()
    await process.aclose()
