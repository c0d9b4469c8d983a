"""What stands beside an approval: the words before it, and related approvals."""

from pathlib import Path

from tests.support.harness import AppProcess


def test_words_and_related_approvals(server: AppProcess, thread_id: str) -> None:
    other = f"{thread_id}-2"
    server.post("/chat", {"thread_id": thread_id, "message": "Where is order 1044?"})
    asked = server.post("/chat", {"thread_id": thread_id, "message": "Refund £25 of order 1044"})
    first = asked.json()["data"]["approval"]["approval_id"]
    asked = server.post("/chat", {"thread_id": other, "message": "Refund £30 of order 1044"})
    second = asked.json()["data"]["approval"]["approval_id"]
    context = server.get(f"/approvals/{first}/context")
    assert [one["role"] for one in context["words"]] == ["customer", "agent", "customer"]
    assert context["words"][-1]["content"] == "Refund £25 of order 1044"
    related = {one["approval"]["approval_id"]: one for one in context["related"]}
    assert related[second]["relation"] == "duplicate"
    assert related[second]["approval"]["amount"] == {"minor": 3000, "currency": "GBP"}
    assert server.post(f"/approvals/{first}/decision", {"decision": "reject", "reason": "no"}).is_success
    assert first not in {
        one["approval"]["approval_id"] for one in server.get(f"/approvals/{second}/context")["related"]
    }
    assert server.post(f"/approvals/{second}/decision", {"decision": "reject", "reason": "no"}).is_success


def test_what_has_changed_since_the_request(data_dir: Path) -> None:
    """Two conversations request to cancel one order. Once the first has, the second is out of date."""
    with AppProcess(data_dir) as server:
        ids = []
        for thread_id in ("one", "two"):
            body = {"thread_id": thread_id, "message": "Please cancel order 1042"}
            ids.append(server.post("/chat", body).json()["data"]["approval"]["approval_id"])
        assert server.get(f"/approvals/{ids[1]}/context")["changed_since"] == []
        server.post(f"/approvals/{ids[0]}/decision", {"decision": "approve"})
        server.post("/chat", {"thread_id": "one", "message": "Thanks"})  # runs after the turn of the decision
        changed = server.get(f"/approvals/{ids[1]}/context")["changed_since"]
        assert {"subject": "", "field": "status", "before": "processing", "after": "cancelled"} in changed
        assert server.get(f"/approvals/{ids[0]}/context")["changed_since"] == []
