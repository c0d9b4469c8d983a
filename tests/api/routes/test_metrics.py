"""`/metrics`: what a monitor reads grows with what happens, and names nobody."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from smart_support import __version__
from smart_support.events import Message, Record
from smart_support.storage.events.embedded import EmbeddedEventStore
from tests.support.harness import AppProcess, free_port


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    nobody = f"http://127.0.0.1:{free_port()}/hook"
    with AppProcess(folder / "var", ESCALATION_WEBHOOK_URL=nobody) as running:
        yield running


def _read(app: AppProcess) -> dict[str, float]:
    answer = httpx.get(f"{app.url}/api/v1/metrics", timeout=60)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        " ".join(
            [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_turns_tokens_and_decisions_are_counted(app: AppProcess) -> None:
    assert _read(app)["smart_support_approvals_pending"] == 0
    app.post("/chat", {"thread_id": "m", "message": "Where is my order 1043?"})
    asked = app.post("/chat", {"thread_id": "m", "message": "Cancel order 1042"}).json()["data"]
    waiting = _read(app)
    assert waiting["smart_support_approvals_pending"] == 1
    assert waiting["smart_support_approval_oldest_seconds"] > 0
    app.post(f"/approvals/{asked['approval']['approval_id']}/decision", {"decision": "approve"})
    app.post("/chat", {"thread_id": "m", "message": "thanks"})
    found = _read(app)
    assert found["smart_support_audit_rows"] > waiting["smart_support_audit_rows"] > 0
    assert found["smart_support_approvals_pending"] == 0
    assert found["smart_support_decisions_total door=rest outcome=approved"] == 1
    assert found["smart_support_turns_total end=interrupt"] == 1
    assert found["smart_support_turns_total end=message_complete"] >= 3
    assert (
        found["smart_support_turn_seconds_count"] == found["smart_support_turns_total end=message_complete"]
    )
    assert found["smart_support_tool_results_total error_class= status=ok"] == 2
    assert found["smart_support_event_log_waiting"] == 0
    assert found["smart_support_tool_seconds_count"] == 2
    assert found["smart_support_turns_running"] == 0
    assert found["smart_support_turns_waiting"] == 0


def test_metrics_of_the_process_its_requests_and_its_backlog(app: AppProcess) -> None:
    httpx.get(f"{app.url}/api/v1/replay/somebody", timeout=60)
    httpx.get(f"{app.url}/api/v1/there-is-no-such-route", timeout=60)
    found = _read(app)
    assert found[f"smart_support_build_info version={__version__}"] == 1
    assert time.time() - 600 < found["process_start_time_seconds"] < time.time()
    assert found["process_resident_memory_bytes"] > 0
    route = "method=GET route=/api/v1/replay/{thread_id} status=404"
    assert found[f"smart_support_request_seconds_count {route}"] >= 1
    assert "somebody" not in " ".join(found)
    assert "there-is-no-such-route" not in " ".join(found)
    assert found["smart_support_sockets_open"] == 0
    assert found["smart_support_event_log_lag_seconds"] == 0


def test_an_escalation_that_no_webhook_takes_shows(app: AppProcess) -> None:
    app.post("/chat", {"thread_id": "h", "message": "I want to talk to a human"})
    found = _read(app)
    assert found["smart_support_escalations_undelivered"] == 1
    assert found["smart_support_escalations_unhandled"] == 1


async def test_the_lag_is_how_long_the_oldest_unwritten_event_has_waited(tmp_path: Path) -> None:
    log = EmbeddedEventStore(tmp_path / "events.duckdb")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait()

    try:
        waiting = log.commits.run(hold)
        await asyncio.to_thread(held.wait)
        record = log.append(Record("t", 1, Message(role="customer", content="Hello")))
        first, second = log.lag_seconds, log.lag_seconds
        assert 0 < first < second
        assert log.waiting == 2
        release.set()
        await asyncio.gather(waiting, record)
        assert (log.waiting, log.lag_seconds) == (0, 0)
    finally:
        release.set()
        log.close()
