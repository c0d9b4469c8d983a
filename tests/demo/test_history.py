"""`make demo-data`: thirty days that look like real ones at every door, and go with one request."""

from pathlib import Path

import httpx

from tests.support.harness import AppProcess, run_python
from tests.support.stores import named


def test_a_made_up_history_fills_the_figures_and_is_cleared_alone(data_dir: Path) -> None:
    environment = named(data_dir)
    for _ in range(2):  # written twice, it is there once
        run_python("-m", "smart_support", "demo-data", environment=environment).check_returncode()
    with AppProcess(data_dir) as app:
        count = app.get("/demo-history")["conversations"]
        assert 400 < count < 900
        answer = app.post("/chat", {"thread_id": "real", "message": "Where is my order 1043?"})
        assert answer.status_code == 200
        found = app.get("/analytics", range="all")
        assert found["conversations"] == count + 1
        assert all(found["outcomes"].values())
        assert 0.5 < found["resolution_rate"] < 1
        assert found["approvals"]["by_policy"] > 0
        shares = {lead["decided_by"]: lead["hasty_share"] for lead in found["leads"]}
        assert shares["sam"] > 0.2 > shares["dana"]
        assert found["tool_errors"]
        assert found["reopened"]["reopened"] > 0
        steps = app.get("/replay/demo-history-00001")
        assert [step["type"] for step in steps[:2]] == ["message", "route"]
        assert app.get("/approvals", status="pending") == []
        _another_decision_changes_nothing_before_it(app)
        cleared = httpx.delete(f"{app.url}/api/v1/demo-history", timeout=60).json()["data"]
        assert cleared["conversations"] == count
        assert app.get("/demo-history")["conversations"] == 0
        assert app.get("/analytics", range="all")["conversations"] == 1


def _another_decision_changes_nothing_before_it(app: AppProcess) -> None:
    """What no model ever said is said again all the same, up to where it is decided otherwise."""
    found = app.get("/conversations", tool="generate_coupon", approval="approved", limit=1)[0]
    decision = next(step for step in app.get(f"/replay/{found['thread_id']}") if step["type"] == "decision")
    body = {"approval_id": decision["approval_id"], "decision": "reject", "reason": "no"}
    told = app.post(f"/replay/{found['thread_id']}/what-if", body).json()["data"]
    until = next(place for place, step in enumerate(told) if step["type"] == "decision")
    assert {step["mark"] for step in told[:until]} == {"same"}
    now = [step for step in told[until:] if step["mark"] == "now"]
    assert [(step["type"], step.get("status")) for step in now][:2] == [
        ("decision", None),
        ("tool_result", "rejected"),
    ]
    assert "rejected" in now[-1]["content"]
