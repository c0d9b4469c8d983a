"""The queue of Gradio's calls: each begins when it can, and an app that nobody uses does nothing."""

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio_client import Client

from pages.gradio_queue import use_waiting_queue
from tests.support.harness import AppProcess, LocalApp

SECONDS = 60


@contextmanager
def _served(function: Callable[..., Any], *, limit: int) -> Iterator[str]:
    """The URL of an app of Gradio with one function, of which so many calls run at once."""
    with gr.Blocks(analytics_enabled=False) as console:
        gr.api(function, api_name="work", concurrency_limit=limit)
    use_waiting_queue(console)
    app = gr.mount_gradio_app(FastAPI(), console, path="/", ssr_mode=False, mcp_server=False)
    with LocalApp(app) as local:
        yield local.url


class Work:
    """A function whose calls say that they have begun, and end when they are told to."""

    def __init__(self) -> None:
        self.begun: queue.Queue[str] = queue.Queue()
        self._may_end: dict[str, threading.Event] = {}

    def __call__(self, name: str) -> str:
        self.begun.put(name)
        if not self._ends(name).wait(SECONDS):
            raise TimeoutError(name)
        return f"{name} is done"

    def in_steps(self, name: str) -> Iterator[str]:
        """The same as a stream of answers."""
        yield f"{name} has begun"
        yield self(name)

    def next(self) -> str:
        """The name of the call that begins next."""
        return self.begun.get(timeout=SECONDS)

    def end(self, *names: str) -> None:
        for name in names:
            self._ends(name).set()

    def _ends(self, name: str) -> threading.Event:
        return self._may_end.setdefault(name, threading.Event())


def _join(url: str, session: str, name: str) -> str:
    """Begin a call as a page does; its id."""
    body = {"data": [name], "fn_index": 0, "session_hash": session}
    return str(httpx.post(f"{url}/gradio_api/queue/join", json=body).json()["event_id"])


def _waiting(url: str) -> int:
    """How many calls wait."""
    return int(httpx.get(f"{url}/gradio_api/queue/status").json()["queue_size"])


def test_a_call_waits_for_its_turn_and_begins_with_the_end_of_the_one_before() -> None:
    work = Work()
    with _served(work.__call__, limit=2) as url:
        client = Client(url, verbose=False)
        jobs = {name: client.submit(name, api_name="/work") for name in ("first", "second")}
        assert {work.next(), work.next()} == {"first", "second"}
        jobs["third"] = client.submit("third", api_name="/work")
        while jobs["third"].status().rank is None:
            time.sleep(0.01)  # the client has no event for it
        assert work.begun.empty()
        work.end("second")
        assert work.next() == "third"
        work.end("third", "first")
        assert {name: job.result(timeout=SECONDS) for name, job in jobs.items()} == {
            name: f"{name} is done" for name in ("first", "second", "third")
        }


def test_a_call_that_fails_makes_room_for_the_next() -> None:
    def work(name: str) -> str:
        if name == "bad":
            raise gr.Error("refused", print_exception=False)
        return name

    with _served(work, limit=1) as url:
        client = Client(url, verbose=False)
        jobs = [client.submit(name, api_name="/work") for name in ("bad", "good", "bad", "better")]
        answers = [str(job.exception(timeout=SECONDS) or job.result()) for job in jobs]
    assert answers == ["refused", "good", "refused", "better"]


@pytest.mark.parametrize("function", ["__call__", "in_steps"])
def test_a_client_that_goes_away_while_its_call_runs_gives_its_place_back(function: str) -> None:
    """As in TryGhost/Ghost#30850, where each of them kept a place for ever."""
    work = Work()
    with _served(getattr(work, function), limit=1) as url:
        _join(url, "gone", "first")
        stream = f"{url}/gradio_api/queue/data?session_hash=gone"
        with httpx.stream("GET", stream, timeout=SECONDS) as answer:
            assert work.next() == "first"
            next(answer.iter_lines())
        _join(url, "here", "second")
        work.end("first", "second")
        assert work.next() == "second"


def test_a_call_that_is_cancelled_while_it_waits_never_begins() -> None:
    """As in gradio-app/gradio#13323, where it stayed in the queue."""
    work = Work()
    with _served(work.__call__, limit=1) as url:
        _join(url, "one", "first")
        assert work.next() == "first"
        event_id = _join(url, "two", "second")
        assert _waiting(url) == 1
        cancelled = {"session_hash": "two", "fn_index": 0, "event_id": event_id}
        assert httpx.post(f"{url}/gradio_api/cancel", json=cancelled).is_success
        assert _waiting(url) == 0
        _join(url, "three", "third")
        work.end("first", "third")
        assert work.next() == "third"


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
