"""An MCP server on stdio of an older revision, written by hand: `python old.py REVISION [hang]`."""

import json
import signal
import sys
from typing import Any

TOOL = {
    "name": "echo",
    "inputSchema": {"type": "object"},
    "outputSchema": {"type": "object", "required": ["no"]},
}


def _result(request: dict[str, Any], revision: str, probes: int) -> dict[str, Any]:
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        about = {"name": "Old", "version": "1"}
        return {"protocolVersion": revision, "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call" and params["name"] == "echo":
        args = params["arguments"]
        told = {"revision": revision, "key": params.get("_meta", {}).get("idempotencyKey")}
        told |= {"text": args["text"], "probes": probes}
        text = args["text"] if args.get("raw") else json.dumps(told)
        return {"content": [{"type": "text", "text": text}]}
    raise LookupError(f"Unknown tool: {params.get('name')}" if method == "tools/call" else "Method not found")


def main(revision: str, *, hang: bool) -> None:
    """Answer until standard input ends, or if it is to hang, until it is killed."""
    if hang:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    probes = 0
    for line in sys.stdin:
        request = json.loads(line)
        probes += request["method"] == "server/discover"
        if "id" not in request:
            continue
        try:
            told: dict[str, Any] = {"result": _result(request, revision, probes)}
        except LookupError as error:
            told = {"error": {"code": -32602, "message": str(error)}}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **told}), flush=True)
    while hang:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], hang="hang" in sys.argv)
