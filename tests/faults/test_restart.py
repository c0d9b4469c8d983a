"""What a stop, a kill and a lost connection leave behind: approvals, turns, numbers, and orders."""

from pathlib import Path

from tests.support.harness import AppProcess, Client, of_type, spoken


def _status(app: AppProcess, thread_id: str, order: str) -> str:
    data = app.post("/chat", {"thread_id": thread_id, "message": f"status of order {order}"}).json()["data"]
    return str(data["tool_calls"][0]["result"]["status"])


async def test_a_pending_approval_survives_a_kill_and_runs_after_it(data_dir: Path) -> None:
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            before = await client.turn("t", "Cancel order 1042")
        approval = app.pending("t")[0]
        app.kill()
    with AppProcess(data_dir) as app:
        assert app.pending("t") == [approval]
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id="t", after=before[-1]["seq"])
            app.post(f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
            after = await client.until("message_complete")
        assert of_type(after, "tool_result")[0]["status"] == "ok"
        assert [event["seq"] for event in after] == list(
            range(before[-1]["seq"] + 1, before[-1]["seq"] + 1 + len(after))
        )
        assert _status(app, "other", "1042") == "cancelled"
        again = app.post(f"/approvals/{approval['approval_id']}/decision", {"decision": "approve"})
        assert again.status_code == 409


async def test_an_approval_expires_by_itself_and_asking_again_starts_fresh(data_dir: Path) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=2) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "Cancel order 1042"))[-1]
            told = await client.until("message_complete")
            assert of_type(told, "decision")[0]["outcome"] == "expired"
            assert of_type(told, "tool_result")[0]["status"] == "expired"
            assert "in time" in spoken(told) or "expired" in spoken(told)
            late = app.post(f"/approvals/{waiting['approval_id']}/decision", {"decision": "approve"})
            assert (late.status_code, late.json()["error"]["code"]) == (410, "approval_expired")
            await client.send(
                type="interrupt_response", thread_id="t", approved=True, interrupt_id=waiting["interrupt_id"]
            )
            assert (await client.until("error"))[-1]["code"] == "approval_expired"
            fresh = (await client.turn("t", "Cancel order 1042"))[-1]
            assert fresh["type"] == "interrupt"
            assert fresh["approval_id"] != waiting["approval_id"]
            app.post(f"/approvals/{fresh['approval_id']}/decision", {"decision": "approve"})
            done = await client.until("message_complete")
        assert of_type(done, "tool_result")[0]["status"] == "ok"
        assert _status(app, "other", "1042") == "cancelled"


async def test_an_approval_due_while_the_app_was_down_expires_at_its_start(data_dir: Path) -> None:
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=1) as app:
        app.post("/chat", {"thread_id": "t", "message": "Cancel order 1042"})
        app.kill()
    with AppProcess(data_dir, APPROVAL_TTL_SECONDS=1) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.send(type="resume", thread_id="t")
            await client.until("decision", outcome="expired")
            await client.until("message_complete")
        assert _status(app, "other", "1042") == "processing"
