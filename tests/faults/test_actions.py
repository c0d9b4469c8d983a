"""Actions of API clients when the app is killed: what waits stays, and what was approved runs once."""

from pathlib import Path

from tests.support.harness import AppProcess


def test_a_killed_app_keeps_what_waits_and_carries_out_once_what_was_approved(tmp_path: Path) -> None:
    call = {"tool": "cancel_order", "args": {"order_id": "1042"}}
    with AppProcess(tmp_path / "var") as app:
        action = app.post("/actions", call).json()["data"]
        app.kill()
        app.start()
        again = app.post("/actions", call).json()["data"]
        assert (again["action_id"], again["joined"], again["status"]) == (
            action["action_id"],
            True,
            "pending",
        )
        decision = f"/approvals/{action['approval_id']}/decision"
        assert app.post(decision, {"decision": "approve"}).status_code == 200
        app.kill()
        app.start()
        done = app.get(f"/actions/{action['action_id']}", wait=30)
        assert done["status"] == "done"
        history = app.get(f"/approvals/{action['approval_id']}/history")
        kinds = [one["kind"] for one in history]
        assert kinds == ["requested", "decided", "execution_begun", "execution_ended"]
        types = [step["type"] for step in app.get(f"/replay/{action['thread_id']}")]
        assert types == ["tool_call", "interrupt", "decision", "tool_result", "message_complete"]
        assert app.post("/actions", call).json()["data"]["action_id"] == action["action_id"]
