"""An MCP server on stdio that starts quickly: `python -S plain.py FOLDER`.

It notes each start in FOLDER/starts, and lists the tools of FOLDER/tools.json as they are at that moment.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

ECHO = {"name": "echo", "description": "Say it again.", "inputSchema": {"type": "object"}}


class _Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A call of `meet` that waits for another one.
        self.waiting: list[int] = []
        with (folder / "starts").open("a") as starts:
            starts.write(f"{os.getpid()}\n")

    def result(self, request: dict[str, Any]) -> dict[str, Any] | None:
        method, params = request["method"], request.get("params", {})
        if method == "initialize":
            about = {"name": "Plain", "version": "1"}
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about}
        if method == "tools/list":
            listed = self.folder / "tools.json"
            return {"tools": json.loads(listed.read_text()) if listed.exists() else [ECHO]}
        if method == "tools/call":
            return self.called(request["id"], params["name"], params.get("arguments", {}))
        raise LookupError("Method not found")

    def called(self, number: int, name: str, args: dict[str, Any]) -> dict[str, Any] | None:
        with (self.folder / "calls").open("a") as calls:
            calls.write(f"{name}\n")
        if name == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "keep_silent":
            return None
        if name == "meet":
            self.waiting.append(number)
            if len(self.waiting) < 2:
                return None
            self.answer(self.waiting[0], result=_text("met"))
            return _text("met")
        if name == "flood":
            print("x" * 200_000, flush=True)
            return _text("flooded")
        if name == "announce":
            notice = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
            print(json.dumps(notice), flush=True)
        if name == "break":
            print(args["text"], file=sys.stderr, flush=True)
            return _text(args["text"]) | {"isError": True}
        return args.get("result") or _text(json.dumps({"pid": os.getpid(), **args}))

    def answer(self, number: int, **told: Any) -> None:
        print(json.dumps({"jsonrpc": "2.0", "id": number, **told}), flush=True)


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def main(folder: Path) -> None:
    """Answer until standard input ends."""
    server = _Server(folder)
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        try:
            result = server.result(request)
        except LookupError as error:
            server.answer(request["id"], error={"code": -32601, "message": str(error)})
        else:
            if result is not None:
                server.answer(request["id"], result=result)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
