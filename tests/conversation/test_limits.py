"""How long a conversation lives and how much it may say, at every door."""

from pathlib import Path

from smart_support import Settings, create_app
from tests.support.harness import Client, LocalApp


async def test_a_session_past_its_time_says_so_at_every_door(data_dir: Path) -> None:
    with LocalApp(create_app(Settings(data_dir=data_dir, session_ttl_seconds=0))) as app:
        async with await Client.connect(app.ws_url) as client:
            assert (await client.turn("t", "hello"))[-1]["type"] == "message_complete"
            second = (await client.turn("t", "hello again"))[-1]
        assert (second["code"], second["thread_id"]) == ("session_expired", "t")
        assert "expired" in second["message"]
        answer = app.request("POST", "/chat", json={"thread_id": "t", "message": "hello?"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "session_expired")
        assert app.app.state.session_manager.get_state("t").thread_id == "t"
        assert app.app.state.session_manager.get_state("never-spoke") is None


async def test_a_pending_approval_keeps_its_session_alive(data_dir: Path) -> None:
    with LocalApp(create_app(Settings(data_dir=data_dir, session_ttl_seconds=0))) as app:
        async with await Client.connect(app.ws_url) as client:
            waiting = (await client.turn("t", "cancel order 1042"))[-1]
            assert waiting["type"] == "interrupt"
            await client.send(type="interrupt_response", thread_id="t", approved=True)
            assert (await client.until("message_complete"))[1]["status"] == "ok"


async def test_too_many_messages_are_told_how_long_to_wait(data_dir: Path) -> None:
    with LocalApp(create_app(Settings(data_dir=data_dir, rate_limit="2/60s"))) as app:
        async with await Client.connect(app.ws_url) as client:
            for _ in range(2):
                await client.turn("t", "hello")
            refused = (await client.turn("t", "hello"))[-1]
            assert refused["code"] == "rate_limited"
            assert any(word.isdigit() and 0 < int(word) <= 60 for word in refused["message"].split())
            assert (await client.turn("another", "hello"))[-1]["type"] == "message_complete"
        answer = app.request("POST", "/chat", json={"thread_id": "t", "message": "hello"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
