"""The socket, spoken to as a client does: turns, approvals, several sockets on a thread, each error."""

import json
from collections.abc import Callable

import pytest

from tests.support.harness import AppProcess, Client, of_type, spoken

Take = Callable[[str], str]


async def test_a_question_is_answered_in_several_tokens(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    order = take_order("shipped")
    async with await Client.connect(server.ws_url) as client:
        events = await client.turn(thread_id, f"Where is my order {order}?")
    assert events[-1]["type"] == "message_complete"
    assert len(of_type(events, "token")) > 3
    assert order in spoken(events)
    assert [call["tool"] for call in of_type(events, "tool_call")] == ["get_tracking_info"]
    assert of_type(events, "tool_result")[0]["status"] == "ok"
    assert events[-1]["usage"]["output_tokens"] > 0
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_an_approved_write_runs_once(server: AppProcess, thread_id: str, take_order: Take) -> None:
    order = take_order("processing")
    async with await Client.connect(server.ws_url) as client:
        asked = await client.turn(thread_id, f"Please cancel order {order}")
        waiting = asked[-1]
        assert waiting["type"] == "interrupt"
        assert waiting["action"] == "cancel_order"
        assert waiting["args"]["order_id"] == order
        assert not of_type(asked, "tool_result")
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
        done = await client.until("message_complete")
    assert [event["type"] for event in done][:2] == ["decision", "tool_result"]
    assert done[0]["outcome"] == "approved"
    assert done[1]["status"] == "ok"
    assert "cancelled" in spoken(done)
    approval = server.get(f"/approvals/{waiting['approval_id']}")
    assert (approval["status"], approval["execution"]) == ("approved", "done")


async def test_a_rejected_write_does_not_run(server: AppProcess, thread_id: str, take_order: Take) -> None:
    order = take_order("processing")
    async with await Client.connect(server.ws_url) as client:
        await client.turn(thread_id, f"Cancel {order}")
        await client.send(
            type="interrupt_response", thread_id=thread_id, approved=False, reason="already being packed"
        )
        done = await client.until("message_complete")
        assert of_type(done, "tool_result")[0]["status"] == "rejected"
        assert "already being packed" in spoken(done)
        status = await client.turn(thread_id, f"What is the status of order {order}?")
    assert json.loads(of_type(status, "tool_result")[0]["content"])["status"] == "processing"


async def test_edited_arguments_run_in_place_of_the_asked(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    asked_for, meant = take_order("processing"), take_order("processing")
    async with await Client.connect(server.ws_url) as client:
        waiting = (await client.turn(thread_id, f"Cancel order {asked_for}"))[-1]
        args = waiting["args"] | {"order_id": meant}
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True, args=args)
        done = await client.until("message_complete")
        assert done[0]["outcome"] == "edited"
        assert json.loads(of_type(done, "tool_result")[0]["content"])["order_id"] == meant
        untouched = await client.turn(thread_id, f"status of order {asked_for}")
    assert json.loads(of_type(untouched, "tool_result")[0]["content"])["status"] == "processing"


async def test_edited_arguments_of_another_type_are_refused_and_the_approval_stays(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    async with await Client.connect(server.ws_url) as client:
        await client.turn(thread_id, f"Cancel order {take_order('processing')}")
        await client.send(
            type="interrupt_response", thread_id=thread_id, approved=True, args={"order_id": 17}
        )
        error = (await client.until("error"))[-1]
    assert error["code"] == "invalid_arguments"
    assert "order_id" in error["message"]
    assert len(server.pending(thread_id)) == 1


async def test_several_turns_remember_what_was_said(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    order = take_order("shipped")
    async with await Client.connect(server.ws_url) as client:
        await client.turn(thread_id, f"What is the status of order {order}?")
        events = await client.turn(thread_id, "And where is it now?")
    call = of_type(events, "tool_call")[0]
    assert (call["tool"], call["args"]["order_id"]) == ("get_tracking_info", order)


async def test_threads_on_one_socket_stay_apart(server: AppProcess, thread_id: str, take_order: Take) -> None:
    one, two = f"{thread_id}-1", f"{thread_id}-2"
    first, second = take_order("shipped"), take_order("delivered")
    async with await Client.connect(server.ws_url) as client:
        await client.send(type="message", thread_id=one, content=f"status of order {first}")
        await client.send(type="message", thread_id=two, content=f"status of order {second}")
        ended: set[str] = set()
        while ended != {one, two}:
            event = await client.next()
            if event["type"] == "message_complete":
                ended.add(event["thread_id"])
        for thread, own, other in ((one, first, second), (two, second, first)):
            said = spoken([event for event in client.seen if event["thread_id"] == thread])
            assert own in said
            assert other not in said
        events = await client.turn(two, "where is it?")
    assert of_type(events, "tool_call")[0]["args"]["order_id"] == second


async def test_every_socket_of_a_thread_sees_the_same(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    async with await Client.connect(server.ws_url) as one, await Client.connect(server.ws_url) as two:
        await two.send(type="resume", thread_id=thread_id)
        await two.send(type="ping")
        await two.until("pong")
        await one.turn(thread_id, f"Cancel order {take_order('processing')}")
        approval = server.pending(thread_id)[0]
        decided = server.post(f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
        assert decided.status_code == 200
        await one.until("message_complete")
        await two.until("message_complete")
    assert one.seen == [event for event in two.seen if event["type"] != "pong"]


async def test_a_message_while_a_colleague_decides_loses_nothing(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    async with await Client.connect(server.ws_url) as client:
        waiting = (await client.turn(thread_id, f"Cancel order {take_order('processing')}"))[-1]
        events = await client.turn(thread_id, "Is it done yet?")
        assert events[-1]["type"] == "message_complete"
        assert "colleague is deciding" in spoken(events)
        assert waiting["expires_at"][11:16] in spoken(events)
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
        done = await client.until("message_complete")
    assert of_type(done, "tool_result")[0]["status"] == "ok"


async def test_two_wishes_run_in_order_and_no_skips_the_rest(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    order = take_order("processing")
    async with await Client.connect(server.ws_url) as client:
        first = await client.turn(thread_id, f"cancel {order} and give me 10% off the next one")
        assert first[-1]["action"] == "cancel_order"
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
        second = await client.until("interrupt", "message_complete")
        assert second[-1]["action"] == "generate_coupon"
        assert second[-1]["args"]["percent"] == 10
        await client.send(type="interrupt_response", thread_id=thread_id, approved=True)
        assert (await client.until("message_complete"))[1]["status"] == "ok"

        other = f"{thread_id}-no"
        await client.turn(other, f"cancel {take_order('processing')} and give me 10% off the next one")
        await client.send(type="interrupt_response", thread_id=other, approved=False, reason="no")
        refused = await client.until("message_complete", "interrupt")
    assert refused[-1]["type"] == "message_complete"
    assert "10%" in spoken(refused)
    assert "skipped" in spoken(refused).lower()


async def test_an_unclear_wish_is_asked_back_with_options(server: AppProcess, thread_id: str) -> None:
    async with await Client.connect(server.ws_url) as client:
        events = await client.turn(thread_id, "please do something about my order 1042")
    question = of_type(events, "clarification")[0]
    assert question["question"].endswith("?")
    assert 2 <= len(question["options"]) <= 6


async def test_a_human_is_called_when_asked_for(server: AppProcess, thread_id: str) -> None:
    async with await Client.connect(server.ws_url) as client:
        events = await client.turn(thread_id, "I want to speak to a human please")
    assert of_type(events, "escalation")[0]["delivered"] is False
    assert "human" in spoken(events)


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        ("{not json", "invalid_json", "Invalid JSON"),
        ('["a list"]', "invalid_json", "Invalid JSON"),
        (b"\xff\xfe", "invalid_json", "Invalid JSON"),
        ('{"type":"message","thread_id":"t","content":"' + "x" * 40_000 + '"}', "too_large", "too large"),
        ('{"type":"message","content":"hello"}', "invalid_thread_id", "thread_id"),
        ('{"type":"message","thread_id":"a b","content":"hello"}', "invalid_thread_id", "thread_id"),
        ('{"type":"message","thread_id":17,"content":"hello"}', "invalid_thread_id", "thread_id"),
        (
            f'{{"type":"message","thread_id":"{"x" * 129}","content":"hello"}}',
            "invalid_thread_id",
            "thread_id",
        ),
        ('{"type":"message","thread_id":"t"}', "invalid_content", "content"),
        ('{"type":"message","thread_id":"t","content":" \\n\\t "}', "invalid_content", "content"),
        ('{"type":"message","thread_id":"t","content":7}', "invalid_content", "content"),
        (f'{{"type":"message","thread_id":"t","content":"{"x" * 10_001}"}}', "invalid_content", "content"),
        ('{"type":"message","thread_id":"t","content":"\\ud800"}', "invalid_json", "Invalid JSON"),
        ('{"type":"dance","thread_id":"t"}', "unknown_type", "dance"),
        ('{"thread_id":"t"}', "unknown_type", "type"),
        ('{"type":{"a":1}}', "unknown_type", "type"),
        (
            '{"type":"interrupt_response","thread_id":"nothing-waits","approved":true}',
            "no_pending_approval",
            "",
        ),
        ('{"type":"interrupt_response","thread_id":"nothing-waits"}', "invalid_request", "approved"),
        ('{"type":"resume","thread_id":"t","after":-1}', "invalid_request", "after"),
        ('{"type":"resume"}', "invalid_thread_id", "thread_id"),
    ],
)
async def test_a_bad_frame_is_explained_and_the_socket_stays(
    server: AppProcess, frame: str | bytes, code: str, words: str
) -> None:
    async with await Client.connect(server.ws_url) as client:
        await client.connection.send(frame)
        error = await client.next()
        assert (error["type"], error["code"]) == ("error", code)
        assert words in error["message"]
        await client.send(type="ping")
        assert (await client.next())["type"] == "pong"


async def test_the_second_decision_is_told_who_was_first(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    async with await Client.connect(server.ws_url) as client:
        waiting = (await client.turn(thread_id, f"Cancel order {take_order('processing')}"))[-1]
        server.post(f"/approvals/{waiting['approval_id']}/decision", {"decision": "reject"})
        await client.until("message_complete")
        await client.send(
            type="interrupt_response",
            thread_id=thread_id,
            approved=True,
            interrupt_id=waiting["interrupt_id"],
        )
        error = (await client.until("error"))[-1]
    assert error["code"] == "already_decided"
    assert "rejected by" in error["message"]


async def test_a_lost_connection_picks_up_where_it_was(
    server: AppProcess, thread_id: str, take_order: Take
) -> None:
    async with await Client.connect(server.ws_url) as whole:
        await whole.send(type="resume", thread_id=thread_id)
        async with await Client.connect(server.ws_url) as client:
            events = await client.turn(thread_id, f"status of order {take_order('delivered')}")
            await client.turn(thread_id, "thank you")
        await whole.until("message_complete")
        await whole.until("message_complete")
        last = events[len(events) // 2]["seq"]
        async with await Client.connect(server.ws_url) as again:
            await again.send(type="resume", thread_id=thread_id, after=last)
            missed = await again.until("message_complete")
            missed += await again.until("message_complete")
    assert missed[0]["seq"] > last
    assert missed[-1] == whole.seen[-1]
    facts = [event for event in whole.seen if event["type"] != "token" and event["seq"] > last]
    assert [event for event in missed if event["type"] != "token"] == facts


async def test_a_foreign_page_can_not_open_the_socket(server: AppProcess) -> None:
    import websockets

    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(server.ws_url, origin="https://evil.example", proxy=None)  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403
