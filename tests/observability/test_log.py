"""What the log says of a turn: ids on every line, and nothing of what was said."""

import errno
import io
import logging
import re
import sys
from collections.abc import Iterator

import httpx
import orjson
import pytest
from structlog.testing import capture_logs

from smart_support.observability import log
from tests.support.harness import AppProcess, Client


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(tmp_path_factory.mktemp("log") / "var") as running:
        yield running


async def test_every_line_of_a_turn_has_its_ids_and_no_line_its_words(app: AppProcess) -> None:
    async with await Client.connect(app.ws_url) as client:
        await client.turn("a-thread", "cancel order 1042 because xylophones are loud")
        await client.send(type="interrupt_response", thread_id="a-thread", approved=True, reason="marimba")
        await client.until("message_complete")
    lines = [orjson.loads(line) for line in app.log().splitlines() if line.startswith("{")]
    of_turn = [line for line in lines if line["event"].startswith(("turn_", "tool_"))]
    assert {line["event"] for line in of_turn} >= {"turn_began", "turn_ended", "tool_ran"}
    assert all(line["thread_id"] == "a-thread" and line["turn_id"] for line in of_turn)
    assert [line["agent"] for line in of_turn if line["event"] == "tool_ran"] == ["order_actions"]
    assert "xylophones" not in app.log()
    assert "marimba" not in app.log()


async def test_a_request_is_one_line_and_its_id_stands_on_those_of_its_turn(app: AppProcess) -> None:
    ask, before = {"message": "Where is my order 1043?"}, len(app.log())
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        named = {"X-Request-ID": "from-a-proxy:1"}
        answer = await http.post("/api/v1/chat", json=ask | {"thread_id": "over-rest"}, headers=named)
        assert answer.headers["x-request-id"] == "from-a-proxy:1"
        odd = await http.get("/api/v1/replay/over-rest", headers={"X-Request-ID": "a b;" + "c" * 200})
        assert re.fullmatch("[0-9a-f-]{36}", odd.headers["x-request-id"])
        await http.delete("/api/v1/customers/somebody-whom-we-know")
        await http.get("/api/v1/health")
        over_gradio = {"data": [ask["message"], "over-gradio"]}
        call = await http.post("/gradio_api/call/chat", json=over_gradio, headers={"X-Request-ID": "g"})
        await http.get(f"/gradio_api/call/chat/{call.json()['event_id']}")
    async with await Client.connect(app.ws_url) as client:
        assert client.connection.response
        socket_id = client.connection.response.headers["x-request-id"]
        await client.turn("over-a-socket", ask["message"])
    lines = [orjson.loads(line) for line in app.log()[before:].splitlines() if line.startswith("{")]
    # The socket of the test before may end only now.
    told = [line for line in lines if line["event"] == "request" and line["method"] != "WS"]
    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/api/v1/chat", 200),
        ("GET", "/api/v1/replay/{thread_id}", 200),
        ("DELETE", "/api/v1/customers/{customer_id}", 404),
    ]
    assert (told[0]["request_id"], told[1]["thread_id"]) == ("from-a-proxy:1", "over-rest")
    assert all(line["duration_ms"] > 0 for line in told)
    assert "somebody-whom-we-know" not in app.log()
    of_turns = {line["thread_id"]: line["request_id"] for line in lines if line["event"] == "turn_began"}
    assert of_turns == {"over-rest": "from-a-proxy:1", "over-a-socket": socket_id, "over-gradio": "g"}
    tools = [line for line in lines if line["event"] == "tool_ran"]
    assert {line["thread_id"]: line["request_id"] for line in tools} == of_turns


def test_a_logger_outlives_the_stream_it_was_first_used_with(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = log.get_logger("outlives")
    with monkeypatch.context() as patched:
        first = io.StringIO()
        patched.setattr(sys, "stderr", first)
        log.configure("console", "info")
        logger.info("first")
    first.close()
    second = io.StringIO()
    monkeypatch.setattr(sys, "stderr", second)
    logger.info("second")
    assert "second" in second.getvalue()


def test_a_logger_follows_a_later_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    logger = log.get_logger("follows")
    log.configure("console", "error")
    logger.error("first")
    logger.info("left out")
    log.configure("json", "info")
    logger.info("second")
    printed = capsys.readouterr().err
    assert orjson.loads(printed.splitlines()[-1])["event"] == "second"
    assert "left out" not in printed
    with capture_logs() as captured:
        logger.info("third")
    assert [one["event"] for one in captured] == ["third"]


class _FullDisk(io.TextIOBase):
    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        self.write("")


def test_work_goes_on_where_a_line_can_not_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk, or where the reader of the log has ended."""
    log.configure("json", "info")
    monkeypatch.setattr(sys, "stderr", _FullDisk())
    log.get_logger().info("anything")
    logging.getLogger("library").warning("anything")
