"""The examples of docs/any-agent.md, run as they stand against a real app; only the port is another."""

import contextlib
import io
import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from smart_support.agents.team import CallerSpec
from tests.support.harness import ROOT, AppProcess

PAGE = (ROOT / "docs" / "any-agent.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
CALL = next(text for language, text in BLOCKS if language == "sh" and "curl" in text)
(MCP_CLIENT,) = (text for language, text in BLOCKS if language == "python")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("any-agent") / "var", MCP_WAIT_SECONDS=0.2) as running:
        yield running


def _printed(app: AppProcess, program: str) -> list[str]:
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(compile(program.replace(":7860", f":{app.port}"), "docs/any-agent.md", "exec"), {})

    # In a thread of its own: a program begins its own event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result(60)
    return printed.getvalue().splitlines()


def test_the_call_of_curl_waits_for_approval(app: AppProcess) -> None:
    script = CALL.replace(":7860", f":{app.port}")
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=True)
    action = json.loads(ran.stdout)["data"]
    assert action["status"] == "pending"
    fields = {
        name for line in re.findall(r"^\| (`.*?`) \|", PAGE, re.M) for name in re.findall(r"`(\w+)`", line)
    }
    assert set(action) - {"tool", "args", "requested_at", "settled_at"} <= fields
    (approval,) = app.pending(action["thread_id"])
    assert approval["caller"]["reason"] == "She asked for it by phone."


def test_the_mcp_client_prints_what_the_page_says(app: AppProcess) -> None:
    assert _printed(app, MCP_CLIENT) == re.findall(r"^# -> (.*)$", MCP_CLIENT, re.M)


def test_the_caller_of_the_page_is_one() -> None:
    listed = yaml.safe_load(next(text for language, text in BLOCKS if language == "yaml"))["callers"]
    assert [CallerSpec.model_validate(one).name for one in listed] == ["claude"]
    assert set(listed[0]) == set(CallerSpec.model_fields)
