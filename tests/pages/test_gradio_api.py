"""The Gradio API through the real `gradio_client`: streaming, approvals, and what stays hidden."""

from collections.abc import Callable

import pytest
from gradio_client import Client

from smart_support import clock
from tests.support.harness import AppProcess

Take = Callable[[str], str]


@pytest.fixture(scope="module")
def client(server: AppProcess) -> Client:
    return Client(server.url, verbose=False)


def test_only_the_six_are_public(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {
        "/chat",
        "/pending_approvals",
        "/decide",
        "/conversations",
        "/replay",
        "/analytics",
    }


def test_chat_streams_one_growing_answer(client: Client, thread_id: str, take_order: Take) -> None:
    order = take_order("shipped")
    job = client.submit(f"Where is order {order}?", thread_id, api_name="/chat")
    final = job.result(timeout=30)
    steps = job.outputs()
    assert (final["status"], final["thread_id"], final["error"]) == ("complete", thread_id, None)
    assert order in final["reply"]
    assert final["agent"] == "order_lookup"
    assert final["tool_calls"][0]["tool"] == "get_tracking_info"
    assert steps[0]["status"] == "streaming"
    assert all(final["reply"].startswith(step["reply"]) for step in steps)


def test_an_approval_is_listed_and_decided(client: Client, thread_id: str, take_order: Take) -> None:
    order = take_order("changeable")
    waiting = client.predict(f"Cancel order {order}", thread_id, api_name="/chat")
    assert waiting["status"] == "awaiting_approval"
    approval_id = waiting["approval"]["approval_id"]
    assert approval_id in [item["approval_id"] for item in client.predict(api_name="/pending_approvals")]
    decided = client.predict(approval_id, "approve", api_name="/decide")
    assert decided["approval"]["status"] == "approved"
    assert decided["approval"]["execution"] == "done"
    assert "cancelled" in decided["reply"]
    with pytest.raises(Exception, match="already_decided"):
        client.predict(approval_id, "reject", api_name="/decide")


def test_an_edit_goes_through_with_its_arguments(client: Client, thread_id: str, take_order: Take) -> None:
    waiting = client.predict("Give me a coupon with 10% off", thread_id, api_name="/chat")
    args = waiting["approval"]["args"] | {"percent": 5}
    decided = client.predict(waiting["approval"]["approval_id"], "edit", "", args, api_name="/decide")
    assert decided["approval"]["status"] == "edited"
    assert decided["approval"]["args"]["percent"] == 5
    assert "5%" in decided["reply"]


def test_errors_come_as_part_of_the_answer(client: Client) -> None:
    empty = client.predict("  ", "", api_name="/chat")
    assert (empty["status"], empty["error"]["code"]) == ("error", "invalid_content")
    spaced = client.predict("hi", "not a thread", api_name="/chat")
    assert spaced["error"]["code"] == "invalid_thread_id"


def test_the_record_reads_as_over_rest(client: Client, server: AppProcess, thread_id: str) -> None:
    client.predict("hello", thread_id, api_name="/chat")
    assert client.predict(thread_id, api_name="/replay") == server.get(f"/replay/{thread_id}")
    listed = client.predict(api_name="/conversations")
    assert thread_id in [item["thread_id"] for item in listed]
    span = {"range": "7d", "since": "2026-01-01", "until": clock.rfc3339(clock.now())}
    figures = client.predict(*span.values(), api_name="/analytics")
    assert figures["conversations"] >= 1
    assert figures == server.get("/analytics", **span)
    with pytest.raises(Exception, match="not_found"):
        client.predict("no-such-thread", api_name="/replay")
