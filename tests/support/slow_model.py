"""An OpenAI-compatible server on loopback that says one word, and the rest when a test lets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson

AGENTS = """\
company: Slow
fallback: only
agents:
  - {name: only, title: Only, description: Says things., tools: [get_order_status]}
"""


class SlowModel:
    """Speaks to every request "First", waits for `go_on`, then ends with " and last.".

    `asked` can be acquired once for each request.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        """What the app's environment has to hold."""
        return {"OPENAI_API_KEY": "any-key", "OPENAI_BASE_URL": f"http://127.0.0.1:{self.port}/v1"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and hang up."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
            self.asked.release()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            writer.write(_chunk("First"))
            await writer.drain()
            await self.go_on.wait()
            writer.write(_chunk(" and last.") + _chunk("", "stop") + b"data: [DONE]\n\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the app was stopped meanwhile
        finally:
            writer.close()


def _chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
    told = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "slow", "choices": [choice]}
    if finish:
        told["usage"] = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return b"data: " + orjson.dumps(told) + b"\n\n"


@asynccontextmanager
async def slow_model() -> AsyncIterator[SlowModel]:
    """The server, on a free port."""
    model = SlowModel()
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.port = server.sockets[0].getsockname()[1]
    try:
        yield model
    finally:
        server.close()
        model.go_on.set()
