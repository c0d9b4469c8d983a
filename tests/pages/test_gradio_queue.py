"""The queue of Gradio's calls: each begins when it can, and an app that nobody uses does nothing."""

import queue
import re
import threading
import time
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from gradio_client import Client

from pages.gradio_queue import use_waiting_queue
from tests.support.harness import AppProcess, LocalApp


def test_a_call_waits_for_its_turn_and_begins_with_the_end_of_the_one_before() -> None:
    begun: queue.Queue[str] = queue.Queue()
    ends = {name: threading.Event() for name in ("first", "second", "third")}

    def work(name: str) -> str:
        begun.put(name)
        if not ends[name].wait(60):
            raise TimeoutError(name)
        return f"{name} is done"

    with gr.Blocks(analytics_enabled=False) as console:
        gr.api(work, api_name="work", concurrency_limit=2)
    use_waiting_queue(console)
    app = gr.mount_gradio_app(FastAPI(), console, path="/", ssr_mode=False, mcp_server=False)
    with LocalApp(app) as local:
        client = Client(local.url, verbose=False)
        jobs = {name: client.submit(name, api_name="/work") for name in ("first", "second")}
        assert {begun.get(timeout=60), begun.get(timeout=60)} == {"first", "second"}
        jobs["third"] = client.submit("third", api_name="/work")
        while jobs["third"].status().rank is None:
            time.sleep(0.01)  # the client has no event for it
        assert begun.empty()
        ends["second"].set()
        assert begun.get(timeout=60) == "third"
        for name in ("third", "first"):
            ends[name].set()
        assert {name: job.result(timeout=60) for name, job in jobs.items()} == {
            name: f"{name} is done" for name in ends
        }


def test_a_call_that_fails_makes_room_for_the_next() -> None:
    def work(name: str) -> str:
        if name == "bad":
            raise gr.Error("refused", print_exception=False)
        return name

    with gr.Blocks(analytics_enabled=False) as console:
        gr.api(work, api_name="work", concurrency_limit=1)
    use_waiting_queue(console)
    app = gr.mount_gradio_app(FastAPI(), console, path="/", ssr_mode=False, mcp_server=False)
    with LocalApp(app) as local:
        client = Client(local.url, verbose=False)
        jobs = [client.submit(name, api_name="/work") for name in ("bad", "good", "bad", "better")]
        answers = [str(job.exception(timeout=60) or job.result()) for job in jobs]
    assert answers == ["refused", "good", "refused", "better"]


def test_an_app_that_nobody_uses_sleeps(tmp_path: Path) -> None:
    with AppProcess(tmp_path / "var") as app:

        def wakings() -> int:
            """How often its event loop has waited for something."""
            status = Path(f"/proc/{app.process.pid}/status").read_text()
            (found,) = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)
            return int(found)

        app.get("/me")
        before = wakings()
        time.sleep(1)  # what happens in it without a reason is what is counted
        assert wakings() - before < 50
