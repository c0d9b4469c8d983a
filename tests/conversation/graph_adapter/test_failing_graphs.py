"""One approval, one execution, whatever graph: it acts and then breaks, hangs, asks again, or is cut off.

Wherever a graph breaks after its approval, the call is of unknown outcome, a human is told once, and nothing
that was approved runs a second time, however often the customer writes.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client as GradioClient

from smart_support import Settings, create_app
from tests.support.graphs import failing
from tests.support.graphs.failing import Breaking, Build, NotLangGraph, breakpoint_graph, saver_of
from tests.support.graphs.shapes import SHAPES, Write
from tests.support.harness import Client, LocalApp, of_type, spoken

ENDS = ("message_complete", "interrupt", "error")
OWN_SHAPES: dict[str, Build] = {
    "act_in_next_step": failing.act_in_next_step,
    "another_asks_beside_it": failing.another_asks_beside_it,
    "breakpoint_before": breakpoint_graph(before=["act"]),
    "breakpoint_after": breakpoint_graph(after=["plan"]),
    "breakpoint_inside": breakpoint_graph(before=["act"], inside=True),
}
BUILDS: dict[str, Build] = {name: shape.build for name, shape in SHAPES.items()} | OWN_SHAPES
MESSAGES_ONLY = ("messages_only", "messages_only_whole")


def _cases() -> Iterator[Any]:
    """Each graph with our checkpointer or with its own, which alternates; the other one at night."""
    for row, name in enumerate(BUILDS):
        for place, kind in enumerate(("ours", "theirs")):
            if name in MESSAGES_ONLY and kind == "ours":
                continue
            is_everyday = name in MESSAGES_ONLY or row % 2 == place
            marks = [] if is_everyday else [pytest.mark.nightly]
            yield pytest.param(name, kind, marks=marks, id=f"{name}-{kind}")


@contextmanager
def _serving(data_dir: Path, graph: Any, **settings: Any) -> Iterator[LocalApp]:
    with LocalApp(create_app(Settings(data_dir=data_dir, **settings), graph=graph)) as app:
        yield app


async def _turn(client: Client, thread_id: str, content: str) -> list[dict[str, Any]]:
    """The events of one turn, which ends exactly once."""
    events = await client.turn(thread_id, content)
    assert [event["type"] for event in events if event["type"] in ENDS] == [events[-1]["type"]]
    return events


async def _decide_all(client: Client, thread_id: str, waiting: dict[str, Any]) -> list[dict[str, Any]]:
    """Approve what waits, and what is asked after it; the events to the turn's end."""
    events: list[dict[str, Any]] = [waiting]
    while events[-1]["type"] == "interrupt":
        await client.send(
            type="interrupt_response",
            thread_id=thread_id,
            interrupt_id=events[-1]["interrupt_id"],
            approved=True,
        )
        events += await client.until(*ENDS, thread_id=thread_id)
    return events


def _approvals(app: LocalApp, thread_id: str) -> list[dict[str, Any]]:
    answer = app.request("GET", "/approvals", params={"limit": 100}).json()["data"]
    return [one for one in answer if one["thread_id"] == thread_id]


def _escalations(app: LocalApp, thread_id: str) -> list[str]:
    answer = app.request("GET", "/escalations", params={"limit": 100}).json()["data"]
    return [one["reason"] for one in answer if one["thread_id"] == thread_id]


def _check_unknown(app: LocalApp, thread_id: str) -> None:
    """Its approved calls are of unknown outcome, and a human was told of each once."""
    approvals = [one for one in _approvals(app, thread_id) if one["status"] == "approved"]
    assert {one["execution"] for one in approvals} == {"outcome_unknown"}, approvals
    about_it = [reason for reason in _escalations(app, thread_id) if "outcome" in reason]
    assert len(about_it) == len(approvals)


def _check_replay(app: LocalApp, thread_id: str) -> None:
    """Every turn of the record ends once, and nothing in it says how the graph broke."""
    steps = app.request("GET", f"/replay/{thread_id}", params={"limit": 200}).json()["data"]
    assert steps[-1]["type"] in ENDS
    assert "sk-secret" not in str(steps)


@pytest.mark.parametrize(("name", "kind"), [*_cases()])
async def test_a_write_that_breaks_runs_once(name: str, kind: str, data_dir: Path) -> None:
    ran = Breaking(failing.raises)
    with _serving(data_dir, BUILDS[name](ran, saver_of(kind))) as app:
        async with await Client.connect(app.ws_url) as client:
            events = await _turn(client, "socket", "refund S-1")
            assert events[-1]["type"] == "interrupt"
            done = await _decide_all(client, "socket", events[-1])
            assert done[-1]["type"] == "error"
            assert "not known" in done[-1]["message"]
            assert [one["kind"] for one in of_type(done, "escalation")] == ["unknown_outcome"]
            for number in range(3):
                later = await _turn(client, "socket", f"hello {number}")
                if kind == "ours":
                    assert spoken(later).endswith(f"You said: hello {number}.")
                else:
                    assert [one["kind"] for one in of_type(later, "escalation")] == ["unknown_outcome"]
                    assert later[-1]["type"] == "message_complete"
            await _through_rest(app, client)
        _check_unknown(app, "socket")
        _check_replay(app, "socket")
        await asyncio.to_thread(_through_gradio, app)
    assert Counter(ran) == Counter(Write(order, 100) for order in ("S-1", "R-1", "G-1"))


async def _through_rest(app: LocalApp, client: Client) -> None:
    def request(path: str, body: dict[str, Any]) -> Any:
        return app.request("POST", path, json=body)

    answer = await asyncio.to_thread(request, "/chat", {"thread_id": "rest", "message": "refund R-1"})
    approval = answer.json()["data"]["approval"]
    while approval:
        await client.send(type="resume", thread_id="rest", after=0)
        await client.until("interrupt", approval_id=approval["approval_id"])
        path = f"/approvals/{approval['approval_id']}/decision"
        decided = await asyncio.to_thread(request, path, {"decision": "approve"})
        assert decided.status_code == 200
        last = (await client.until("interrupt", "error", thread_id="rest"))[-1]
        approval = last if last["type"] == "interrupt" else None
    for number in range(2):
        await asyncio.to_thread(request, "/chat", {"thread_id": "rest", "message": f"hello {number}"})
    _check_unknown(app, "rest")


def _through_gradio(app: LocalApp) -> None:
    gradio = GradioClient(app.url, verbose=False)
    gradio.predict("refund G-1", "gradio", api_name="/chat")
    while waiting := [one for one in _approvals(app, "gradio") if one["status"] == "pending"]:
        gradio.predict(waiting[0]["approval_id"], "approve", api_name="/decide")
    for number in range(2):
        gradio.predict(f"hello {number}", "gradio", api_name="/chat")
    _check_unknown(app, "gradio")


@pytest.mark.parametrize("then", [failing.times_out, failing.cancels])
@pytest.mark.parametrize("name", ["flat", "middleware_batched", "agent_node", "subgraph"])
async def test_however_it_breaks(name: str, then: Callable[[], None], data_dir: Path) -> None:
    ran = Breaking(then)
    with _serving(data_dir, BUILDS[name](ran, None)) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert "not known" in done[-1]["message"]
            assert spoken(await _turn(client, "t", "hello")).endswith("You said: hello.")
        _check_unknown(app, "t")
    assert ran == [Write("S-1", 100)]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_graph_that_hangs_is_given_up(in_thread: bool, data_dir: Path) -> None:
    ran: list[Write] = []
    started, released = threading.Event(), threading.Event()
    graph = failing.hangs(started, released, in_thread=in_thread)(ran, None)
    with _serving(data_dir, graph, graph_timeout_seconds=1) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert started.is_set()
            assert "not known" in done[-1]["message"]
            assert spoken(await _turn(client, "t", "hello")).endswith("You said: hello.")
        _check_unknown(app, "t")
        released.set()
    assert ran == [Write("S-1", 100)]


async def test_a_graph_that_hangs_before_it_asks_ends_its_turn(data_dir: Path) -> None:
    class Silent:
        async def astream(self, input: Any, *, config: Any, stream_mode: Any) -> Any:
            await asyncio.Event().wait()
            yield "messages", ()

        async def aget_state(self, config: Any) -> Any:
            return None

    with _serving(data_dir, Silent(), graph_timeout_seconds=1) as app:
        async with await Client.connect(app.ws_url) as client:
            error = (await _turn(client, "t", "hello"))[-1]
    assert (error["code"], "longer than 1 s" in error["message"]) == ("tool_error", True)


@pytest.mark.parametrize("kind", ["ours", "theirs"])
async def test_a_step_that_asks_twice_is_not_run_again(kind: str, data_dir: Path) -> None:
    ran: list[Write] = []
    with _serving(data_dir, failing.asks_twice(ran, saver_of(kind))) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert done[-1]["type"] == "error"
            assert "second approval" in of_type(done, "escalation")[0]["reason"]
            later = await _turn(client, "t", "hello")
            assert later[-1]["type"] == "message_complete"
        _check_unknown(app, "t")
    assert ran == [Write("S-1", 100)]


async def test_a_step_that_was_refused_may_ask_again(data_dir: Path) -> None:
    ran: list[Write] = []
    with _serving(data_dir, failing.asks_twice(ran, None)) as app:
        async with await Client.connect(app.ws_url) as client:
            await _turn(client, "t", "refund S-1")
            await client.send(type="interrupt_response", thread_id="t", approved=False)
            second = (await client.until(*ENDS))[-1]
            assert second["args"]["order"] == "S-1-second"
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            assert (await client.until(*ENDS))[-1]["type"] == "message_complete"
        assert [one["execution"] for one in _approvals(app, "t")] == ["done", None]
    assert ran == [Write("S-1-second", 100)]


@pytest.mark.parametrize("kind", ["ours", "theirs"])
async def test_a_branch_that_fails_takes_the_outcome_of_the_others_with_it(kind: str, data_dir: Path) -> None:
    ran: list[Write] = []
    with _serving(data_dir, failing.other_branch_fails(ran, saver_of(kind))) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert len(of_type(done, "decision")) == 2
            assert done[-1]["type"] == "error"
            for _ in range(2):
                await _turn(client, "t", "hello")
        assert len(_approvals(app, "t")) == 2
        _check_unknown(app, "t")
    assert ran == [Write("S-1", 100)]


@pytest.mark.parametrize("saver", ["ours", "theirs"])
@pytest.mark.parametrize("name", ["breakpoint_before", "breakpoint_after", "breakpoint_inside"])
async def test_a_breakpoint_is_an_approval(name: str, saver: str, data_dir: Path) -> None:
    ran: list[Write] = []
    with _serving(data_dir, BUILDS[name](ran, saver_of(saver))) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            assert waiting["type"] == "interrupt"
            if name != "breakpoint_inside":
                assert (waiting["action"], waiting["args"]) == ("refund", {"order": "S-1", "cents": 100})
            await client.send(type="interrupt_response", thread_id="t", approved=True, args={"order": "X-9"})
            assert (await client.until("error"))[-1]["code"] == "decision_not_allowed"
            done = await _decide_all(client, "t", waiting)
            assert done[-1]["type"] == "message_complete"
            assert spoken(done) == "Refunded S-1."
            assert ran == [Write("S-1", 100)]
            assert [one["execution"] for one in _approvals(app, "t")] == ["done"]

            await _turn(client, "t", "refund S-2")
            await client.send(type="interrupt_response", thread_id="t", approved=False, reason="too much")
            refused = await client.until(*ENDS)
            assert refused[-1]["type"] == "message_complete"
            assert "too much" in spoken(refused)
            assert spoken(await _turn(client, "t", "hello")).endswith("You said: hello.")
            again = (await _turn(client, "t", "refund S-3"))[-1]
            assert (await _decide_all(client, "t", again))[-1]["type"] == "message_complete"
    assert ran == [Write("S-1", 100), Write("S-3", 100)]


async def test_a_refusal_that_breaks_the_graph_is_delivered_once(data_dir: Path) -> None:
    delivered: list[bool] = []

    def work(answer: bool) -> None:
        delivered.append(answer)
        raise RuntimeError("can't take a no")

    graph = failing.answering(work)
    with _serving(data_dir, graph) as app:
        async with await Client.connect(app.ws_url) as client:
            await _turn(client, "t", "refund S-1")
            await client.send(type="interrupt_response", thread_id="t", approved=False)
            assert (await client.until(*ENDS))[-1]["type"] == "error"
            for _ in range(2):
                assert spoken(await _turn(client, "t", "hello")).endswith("You said: hello.")
        assert [(one["status"], one["execution"]) for one in _approvals(app, "t")] == [("rejected", None)]
    assert delivered == [False]


async def test_a_graph_that_is_not_langgraph_acts_once(data_dir: Path) -> None:
    ran = Breaking(failing.raises)
    with _serving(data_dir, NotLangGraph(ran)) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund S-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert "not known" in done[-1]["message"]
            for _ in range(2):
                later = await _turn(client, "t", "refund S-2")
                assert [one["kind"] for one in of_type(later, "escalation")] == ["unknown_outcome"]
        _check_unknown(app, "t")
    assert ran == [Write("S-1", 100)]


@pytest.mark.parametrize("is_inside", [False, True])
async def test_an_approval_reaches_no_other_call_of_its_step(is_inside: bool, data_dir: Path) -> None:
    ran: list[Write] = []
    build = failing.classic_tool_node
    build = failing.inside(build) if is_inside else build
    with _serving(data_dir, build(ran, None)) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await _turn(client, "t", "refund A-1"))[-1]
            done = await _decide_all(client, "t", waiting)
            assert (done[-1]["type"], ran) == ("message_complete", [Write("A-1", 100)])
            error = (await _turn(client, "t", "refund A-2 B-2"))[-1]
            assert "one after the other" in error["message"]
            assert spoken(await _turn(client, "t", "hello")).endswith("You said: hello.")
        assert len(_approvals(app, "t")) == 1
    assert ran == [Write("A-1", 100)]
