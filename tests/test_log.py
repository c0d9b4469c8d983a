"""What the log says of a turn: ids on every line, and nothing of what was said."""

from pathlib import Path

import orjson

from tests.harness import AppProcess, Client


async def test_every_line_of_a_turn_has_its_ids_and_no_line_its_words(data_dir: Path) -> None:
    with AppProcess(data_dir) as app:
        async with await Client.connect(app.ws_url) as client:
            await client.turn("a-thread", "cancel order 1042 because xylophones are loud")
            await client.send(
                type="interrupt_response", thread_id="a-thread", approved=True, reason="marimba"
            )
            await client.until("message_complete")
    lines = [orjson.loads(line) for line in app.log().splitlines() if line.startswith("{")]
    of_turn = [line for line in lines if line["event"].startswith(("turn_", "tool_"))]
    assert {line["event"] for line in of_turn} >= {"turn_began", "turn_ended", "tool_ran"}
    assert all(line["thread_id"] == "a-thread" and line["turn_id"] for line in of_turn)
    assert [line["agent"] for line in of_turn if line["event"] == "tool_ran"] == ["order_actions"]
    assert "xylophones" not in app.log()
    assert "marimba" not in app.log()
