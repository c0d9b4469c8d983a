"""`/metrics`: what a monitor reads grows with what happens, and names nobody."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import AppProcess


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    with AppProcess(folder / "var") as running:
        yield running


def _read(app: AppProcess) -> dict[str, float]:
    answer = httpx.get(f"{app.url}/api/v1/metrics")
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
    assert found["smart_support_approvals_pending"] == 0
    assert found["smart_support_decisions_total door=rest outcome=approved"] == 1
    assert found["smart_support_turns_total end=interrupt"] == 1
    assert found["smart_support_turns_total end=message_complete"] >= 3
    assert (
        found["smart_support_turn_seconds_count"] == found["smart_support_turns_total end=message_complete"]
    )
    assert found["smart_support_tool_results_total error_class= status=ok"] == 2
    assert found["smart_support_event_log_waiting"] == 0
