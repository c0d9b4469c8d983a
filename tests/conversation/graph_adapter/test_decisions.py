"""What a person may decide is what the graph takes: on the card, in every interface, and when time is up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from gradio_client.exceptions import AppError
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from pydantic import BaseModel

from tests.support.graphs.running import Conversation, messages_of, recorded, serving, shown
from tests.support.graphs.shapes import CENTS, Ran, Write, middleware
from tests.support.harness import Client, LocalApp, ScriptedModel, of_type

MODES = pytest.mark.parametrize("mode", ["batched", "per_call"])


@asynccontextmanager
async def _talking(
    app: LocalApp, channel: str = "socket", thread_id: str = "t"
) -> AsyncIterator[Conversation]:
    async with await Client.connect(app.ws_url) as observer:
        await observer.send(type="resume", thread_id=thread_id, after=0)
        yield Conversation(app, channel, thread_id, observer)


def _approval(app: LocalApp, approval_id: str) -> dict[str, Any]:
    found: dict[str, Any] = app.request("GET", f"/approvals/{approval_id}").json()["data"]
    return found


@MODES
async def test_a_decision_that_is_not_allowed_is_refused_everywhere(data_dir: Path, mode: str) -> None:
    ran: Ran = []
    with serving(middleware(mode, ["approve", "reject"])(ran, None), data_dir) as app:
        async with _talking(app) as talk:
            waiting = (await talk.say("refund A-1"))[-1]
            approval_id, args = waiting["approval_id"], {"order": "A-1", "cents": 1}
            assert _approval(app, approval_id)["allowed"] == ["approve", "reject"]
            for decision, given in (("edit", args), ("respond", None)):
                answer = talk.decide_by_rest(approval_id, decision, "by hand", given)
                error = answer.json()["error"]
                assert (answer.status_code, error["code"]) == (422, "decision_not_allowed")
                assert "approve, reject" in error["message"]
                frame = {"type": "interrupt_response", "thread_id": "t", "decision": decision, "args": given}
                await talk.observer.send(**frame, message="by hand" if decision == "respond" else None)
                assert (await talk.observer.until("error"))[-1]["code"] == "decision_not_allowed"
                talk.channel = "gradio"
                with pytest.raises(AppError, match="decision_not_allowed"):
                    await talk.decide(approval_id, decision, "by hand", given)
            preview = app.request("POST", f"/approvals/{approval_id}/preview", json={"args": args})
            assert preview.json()["error"]["code"] == "decision_not_allowed"
            still = _approval(app, approval_id)
            assert (still["status"], still["decided_by"], ran) == ("pending", None, [])
            talk.channel = "socket"
            await talk.decide(approval_id, "approve")
    assert ran == [Write("A-1", CENTS)]


@MODES
async def test_a_batch_decides_those_that_allow_it(data_dir: Path, mode: str) -> None:
    ran: Ran = []
    with serving(middleware(mode, ["approve", "respond"])(ran, None), data_dir) as app:
        async with _talking(app) as talk:
            waiting = (await talk.say("refund A-1"))[-1]
            body = {"approval_ids": [waiting["approval_id"]], "decision": "reject", "reason": "no"}
            (outcome,) = app.request("POST", "/approvals/batch", json=body).json()["data"]
            assert (outcome["approval"], outcome["error"]["code"]) == (None, "decision_not_allowed")
            assert _approval(app, waiting["approval_id"])["status"] == "pending"


async def test_the_card_of_one_call_has_its_action_and_its_typed_arguments(data_dir: Path) -> None:
    ran: Ran = []
    with serving(middleware("per_call")(ran, None), data_dir) as app:
        async with _talking(app) as talk:
            waiting = (await talk.say("refund A-1"))[-1]
            assert (waiting["action"], waiting["args"]) == ("refund", {"order": "A-1", "cents": CENTS})
            approval = _approval(app, waiting["approval_id"])
            assert approval["allowed"] == ["approve", "edit", "reject", "respond"]
            assert approval["args_schema"]["properties"]["cents"]["type"] == "integer"
            for args in (
                {"order": "A-1", "cents": "many"},
                {"order": "A-1"},
                {"order": "A-1", "cents": 1, "x": 1},
            ):
                refused = talk.decide_by_rest(approval["approval_id"], "edit", "", args)
                assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_arguments")
            assert _approval(app, approval["approval_id"])["status"] == "pending"
            await talk.decide(approval["approval_id"], "edit", args={"order": "A-1", "cents": 5})
    assert ran == [Write("A-1", 5)]


@MODES
@pytest.mark.parametrize(
    ("decisions", "runs"),
    [
        (("approve", "approve"), ["A-1", "A-2"]),
        (("approve", "edit"), ["A-1", "A-2"]),
        (("respond", "approve"), ["A-2"]),
        (("approve", "respond"), ["A-1"]),
        (("approve", "reject"), ["A-1"]),
        (("reject",), []),
    ],
)
async def test_several_calls_at_once_get_each_its_own_decision(
    data_dir: Path, mode: str, decisions: tuple[str, ...], runs: list[str]
) -> None:
    ran: Ran = []
    with serving(middleware(mode)(ran, None), data_dir) as app:
        async with _talking(app) as talk:
            events = await talk.say("refund A-1 A-2")
            for decision in decisions:
                args = events[-1]["args"] | {"cents": 3} if decision == "edit" else None
                text = "" if decision in ("approve", "edit") else "Ask me."
                events = await talk.decide(events[-1]["approval_id"], decision, text, args)
            assert events[-1]["type"] == "message_complete"
            await talk.say("hello")
            steps = talk.steps()
            results = {one["tool_call_id"]: one for one in of_type(steps, "tool_result")}
            assert sorted(write.order for write in ran) == runs
            assert len(of_type(steps, "tool_call")) == len(results) == 2
            for place, decision in enumerate(decisions):
                result = results[f"call_{place}"]
                assert result["status"] == ("rejected" if decision == "reject" else "ok")
                assert decision != "respond" or result["content"] == "Ask me."
            assert recorded(steps) == shown(talk.events)
            executions = [one["execution"] for one in talk.approvals()]
            assert executions == ["done" if one in ("approve", "edit") else None for one in decisions]


def _two_tools(ran: list[str], first: list[str], second: list[str], mode: str) -> Any:
    @tool
    def close(account: str) -> str:
        """Close an account."""
        ran.append("close")
        return "closed"

    @tool
    def pay(account: str) -> str:
        """Pay an account out."""
        ran.append("pay")
        return "paid"

    def script(messages: list[BaseMessage], tools: list[Any]) -> AIMessage:
        if messages[-1].type == "human":
            calls = [{"name": name, "args": {"account": "A"}, "id": name} for name in ("close", "pay")]
            return AIMessage("", tool_calls=calls)
        return AIMessage("All settled.")

    on: Any = {"close": {"allowed_decisions": first}, "pay": {"allowed_decisions": second}}
    asks = HumanInTheLoopMiddleware(interrupt_on=on, interrupt_mode=mode)  # type: ignore[arg-type]  # a Literal
    return create_agent(ScriptedModel(script=script), tools=[close, pay], middleware=[asks])


@MODES
async def test_a_no_does_not_speak_for_a_call_that_takes_none(data_dir: Path, mode: str) -> None:
    ran: list[str] = []
    graph = _two_tools(ran, ["approve", "reject"], ["approve", "respond"], mode)
    with serving(graph, data_dir) as app:
        async with _talking(app) as talk:
            first = (await talk.say("close it"))[-1]
            second = (await talk.decide(first["approval_id"], "reject", "no"))[-1]
            assert (second["type"], second["action"]) == ("interrupt", "pay")
            done = await talk.decide(second["approval_id"], "respond", "Paid by hand.")
            assert done[-1]["type"] == "message_complete"
    assert ran == []


@MODES
@pytest.mark.parametrize("allowed", [["approve", "respond"], ["approve", "edit"], ["approve"]])
async def test_what_takes_no_rejection_expires_and_never_runs(
    data_dir: Path, mode: str, allowed: list[str]
) -> None:
    ran: Ran = []
    with serving(middleware(mode, allowed)(ran, None), data_dir, approval_ttl_seconds=0.2) as app:
        async with _talking(app) as talk:
            waiting = (await talk.say("refund A-1"))[-1]
            events = await talk.rest_of_turn()
            assert of_type(events, "decision")[0]["outcome"] == "expired"
            if "respond" in allowed:
                # The safest thing that the middleware takes.
                assert events[-1]["type"] == "message_complete"
                assert "not carried out" in of_type(events, "tool_result")[0]["content"]
            else:
                assert events[-1]["code"] == "tool_error"
            approval = _approval(app, waiting["approval_id"])
            assert (approval["status"], approval["execution"], ran) == ("expired", None, [])


class _Form(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("value", "schema", "allowed", "summary"),
    [
        ("Shall I go on?", None, ["approve", "edit", "reject"], "Shall I go on?"),
        ({"question": "Is it right?", "draft": "x"}, None, ["approve", "edit", "reject"], "Is it right?"),
        (
            {"amount": 2**60},
            None,
            ["approve", "edit", "reject"],
            'Continue? {"amount":"1152921504606846976"}',
        ),
        ({"on": date(2026, 11, 30)}, None, ["approve", "edit", "reject"], 'Continue? {"on":"2026-11-30"}'),
        (_Form(name="n"), None, ["approve", "edit", "reject"], 'Continue? {"name":"n"}'),
        ("What is your age?", {"type": "string"}, ["respond"], "What is your age?"),
        ("Sure?", {"type": "boolean"}, ["approve", "reject"], "Sure?"),
        ("Sure?", {"$ref": "https://example.invalid/schema"}, ["approve", "edit", "reject"], "Sure?"),
    ],
)
async def test_an_interrupt_that_is_not_understood_can_be_read_and_decided(
    data_dir: Path, value: Any, schema: Any, allowed: list[str], summary: str
) -> None:
    got: list[Any] = []

    def ask(state: MessagesState) -> dict[str, Any]:
        got.append(interrupt(value, response_schema=schema))
        return {"messages": [AIMessage("Thank you.")]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    with serving(graph.compile(), data_dir) as app:
        async with _talking(app) as talk:
            waiting = (await talk.say("go"))[-1]
            assert waiting["action"] == "continue"
            assert list(waiting["args"]) == ["question"]
            approval = _approval(app, waiting["approval_id"])
            assert (sorted(approval["allowed"]), approval["summary"]) == (allowed, summary)
            decision = "approve" if "approve" in allowed else "respond"
            events = await talk.decide(
                waiting["approval_id"], decision, "42" if decision == "respond" else ""
            )
            assert messages_of(talk.steps()) == ["Thank you."]
            assert events[-1]["type"] == "message_complete"
            execution = _approval(app, waiting["approval_id"])["execution"]
    assert (got, execution) == ([True], "done") if decision == "approve" else (["42"], None)


async def test_a_question_may_come_again_after_a_no(data_dir: Path) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        while not interrupt("Sure?"):
            pass
        return {"messages": [AIMessage("Sure.")]}

    with serving(_one_step(ask), data_dir) as app:
        async with _talking(app) as talk:
            events = await talk.say("go")
            for decision in ("reject", "approve"):
                assert events[-1]["type"] == "interrupt"
                reason = "Not yet." if decision == "reject" else ""
                events = await talk.decide(events[-1]["approval_id"], decision, reason)
            assert [one["execution"] for one in talk.approvals()] == [None, "done"]
            assert messages_of(talk.steps()) == ["Sure."]


async def test_a_question_that_follows_a_yes_in_the_same_step_is_not_put(data_dir: Path) -> None:
    deleted: list[str] = []

    def ask(state: MessagesState) -> dict[str, Any]:
        for account in ("A-1", "A-2"):
            if interrupt(f"Delete {account}?"):
                deleted.append(account)
        return {"messages": [AIMessage("Done.")]}

    with serving(_one_step(ask), data_dir) as app:
        async with _talking(app) as talk:
            events = await talk.say("go")
            events = await talk.decide(events[-1]["approval_id"], "approve", "")
            assert events[-1]["type"] == "error"
            assert [one["execution"] for one in talk.approvals()] == ["outcome_unknown"]
    assert deleted == ["A-1"]


def _one_step(work: Any) -> Any:
    graph = StateGraph(MessagesState)
    graph.add_node("ask", work)
    graph.add_edge(START, "ask")
    return graph.compile()
