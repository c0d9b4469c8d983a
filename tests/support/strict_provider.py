"""A model provider on loopback that refuses what real ones refuse, and streams what a test tells it to.

It is written from what providers document and answer, not from the code that builds the requests.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What each kind of message may hold. OpenAI takes more; Mistral, Cerebras and others refuse the rest.
_FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
PLAIN = "All is well."


class StrictProvider(ThreadingHTTPServer):
    """Answers chat completions.

    Attributes:
        answers: the streams of the next answers; after them comes a plain one.
        asked: the bodies of the requests so far.
        refused: what was wrong with them.
        call_id: what the id of a call must match.
        context_chars: requests with more text are refused as too long; None takes any.
        unsupported: parameters that are refused.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[bytes] = deque()
        self.asked: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.call_id = r"[A-Za-z0-9_-]{1,40}"
        self.context_chars: int | None = None
        self.unsupported: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def reset(self) -> None:
        """Forget all that was asked and said."""
        self.answers.clear()
        self.asked.clear()
        self.refused.clear()

    def start(self) -> "StrictProvider":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def error_for(self, body: dict[str, Any]) -> str | None:
        """Why a request is refused, if it is."""
        if "messages" not in body:
            return None  # the Responses API, whose rules a test checks itself
        for name in sorted(self.unsupported & body.keys()):
            return f"Unsupported parameter: '{name}' is not supported with this model."
        size = len(json.dumps(body["messages"], ensure_ascii=False))
        if self.context_chars is not None and size > self.context_chars:
            return f"This model's maximum context length is {self.context_chars // 4} tokens."
        faults = list(_faults(body["messages"], self.call_id))
        self.refused += faults
        return "; ".join(faults) or None


def _faults(messages: list[dict[str, Any]], call_id: str) -> Iterator[str]:
    roles = [str(message.get("role")) for message in messages]
    if roles[:2] != ["system", "user"] or roles[-1] not in ("user", "tool"):
        yield f"the roles {roles}"
    known: set[str] = set()
    waiting: list[str] = []
    for message, before in zip(messages, ["", *roles], strict=False):
        role, calls = str(message.get("role")), message.get("tool_calls") or []
        if extra := message.keys() - _FIELDS.get(role, set()):
            yield f"{role} has {sorted(extra)}"
        if role == before != "tool":
            yield f"two of {role} in a row"
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                yield "a result of no call"
            waiting = [one for one in waiting if one != message["tool_call_id"]]
        elif waiting:
            yield f"{waiting} have no result before {role}"
        text = message.get("content")
        if not calls and not (isinstance(text, str) and text.strip()):
            yield f"{role} has no text"
        yield from (fault for one in calls for fault in _faults_of_call(one, call_id))
        if role != "tool":
            waiting = [one["id"] for one in calls]
            if len({*waiting, *known}) != len(waiting) + len(known):
                yield f"an id twice: {waiting}"
            known.update(waiting)
    if waiting:
        yield f"{waiting} have no result"


def _faults_of_call(made: dict[str, Any], call_id: str) -> Iterator[str]:
    function = made.get("function") or {}
    if made.get("type") != "function" or not re.fullmatch(call_id, str(made.get("id"))):
        yield f"the call {made.get('id')!r}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(function.get("name"))):
        yield f"the tool name {function.get('name')!r}"
    try:
        if not isinstance(json.loads(function["arguments"]), dict):
            yield "arguments that are no object"
    except (ValueError, TypeError):
        yield "arguments that are not JSON"


def stream(*chunks: dict[str, Any], done: bool = True) -> bytes:
    """A stream of chat completion chunks."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    events = [f"data: {json.dumps(head | chunk)}\n\n" for chunk in chunks]
    return "".join([*events, "data: [DONE]\n\n" if done else ""]).encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with a delta."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def call(
    args: Any, *, index: int | None = 0, id_: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """A piece of a tool call, for the `tool_calls` of a delta."""
    piece: dict[str, Any] = {"function": {"arguments": args}}
    piece |= {"index": index} if index is not None else {}
    piece |= {"id": id_, "type": "function"} if id_ is not None else {}
    if name is not None:
        piece["function"]["name"] = name
    return piece


def usage(into: int | None, out: int | None) -> dict[str, Any]:
    """A chunk with nothing but usage."""
    return {"choices": [], "usage": {"prompt_tokens": into, "completion_tokens": out}}


class _Handler(BaseHTTPRequestHandler):
    server: StrictProvider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        if error := self.server.error_for(body):
            self._send(400, "application/json", json.dumps({"error": {"message": error}}).encode())
            return
        answers = self.server.answers
        answer = answers.popleft() if answers else stream(delta(content=PLAIN), delta("stop"), usage(5, 4))
        self._send(200, "text/event-stream", answer)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
