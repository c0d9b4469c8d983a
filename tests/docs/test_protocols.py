"""The examples of docs/protocols.md, run as they stand against a real app; only the port is another."""

import contextlib
import io
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import ROOT, AppProcess, Client, LocalApp, of_type, spoken

PAGE = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
CALLS = [text for language, text in BLOCKS if language == "sh"]
PROGRAMS = [text for language, text in BLOCKS if language == "python" and "create_app" not in text]
APPS = {
    kind: text
    for language, text in BLOCKS
    for kind in ("graph", "chat_model")
    if "create_app(" in text and f"{kind}=" in text
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("protocols") / "var") as running:
        yield running


def test_the_page_has_an_example_for_each_interface() -> None:
    assert (len(CALLS), len(PROGRAMS), sorted(APPS)) == (2, 4, ["chat_model", "graph"])


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_each_call_of_curl_is_answered(app: AppProcess, call: str) -> None:
    script = call.replace(":7860", f":{app.port}").replace("curl -s", "curl --fail -s")
    ran = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert (
        ("event: message_complete" in ran.stdout)
        or ('"success":true' in ran.stdout)
        or "event:" in ran.stdout
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_each_program_prints_what_the_page_says(app: AppProcess, program: str) -> None:
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(compile(program.replace(":7860", f":{app.port}"), "docs/protocols.md", "exec"), {})

    # In a thread of its own: a program begins its own event loop.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(run).result(60)
    assert printed.getvalue().splitlines() == re.findall(r"# -> (.*)", program)


def _served(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalApp:
    monkeypatch.setenv("SMART_SUPPORT_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(ROOT)
    made: dict[str, Any] = {"__name__": "docs"}
    exec(compile(APPS[kind], "docs/protocols.md", "exec"), made)
    return LocalApp(made["app"])


async def test_a_graph_of_ones_own_waits_for_its_approval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _served("graph", tmp_path, monkeypatch) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "close it"))[-1]
            assert (waiting["type"], waiting["action"]) == ("interrupt", "close_account")
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            done = await client.until("message_complete")
        assert of_type(done, "decision")[0]["outcome"] == "approved"
        assert spoken(done) == "The account is closed."


async def test_a_model_of_ones_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _served("chat_model", tmp_path, monkeypatch) as app:
        async with await Client.connect(app.ws_url) as client:
            assert spoken(await client.turn("t", "hello")) == "Hello from a model of my own."
