"""Erasing a customer at the door, and what is too old by itself: gone from every answer and every byte."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support import Settings, audit, clock
from smart_support.storage.stores import open_stores
from tests.support.harness import AppProcess
from tests.support.stores import database_url, named, state_of
from tests.support.story import record, resolved

WORDS = "my-private-words-4711"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("erasure")
    keys = "ann:admin:ann-key-1234567890,lee:lead:lee-key-1234567890"
    with AppProcess(folder / "var", API_KEYS=keys) as running:
        yield running


def _ask(app: AppProcess, method: str, path: str, who: str = "ann", **options: Any) -> httpx.Response:
    headers = {"X-API-Key": f"{who}-key-1234567890"}
    return httpx.request(method, f"{app.url}/api/v1{path}", headers=headers, timeout=60, **options)


def _say(app: AppProcess, thread_id: str, message: str) -> dict[str, Any]:
    answer = _ask(app, "POST", "/chat", json={"thread_id": thread_id, "message": message})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def _bytes(app: AppProcess) -> bytes:
    return b"".join(path.read_bytes() for path in app.data_dir.iterdir() if path.is_file())


def _customer_of(app: AppProcess, thread_id: str) -> str:
    answer = _ask(app, "GET", "/conversations", params={"q": thread_id})
    assert answer.status_code == 200, answer.text
    listed = answer.json()["data"]
    return str(next(one["customer_id"] for one in listed if one["thread_id"] == thread_id))


def _compacted(app: AppProcess) -> None:
    deadline = time.monotonic() + 60
    while _ask(app, "GET", "/erasure").json()["data"]["compaction"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a compaction has no event to await
    assert _ask(app, "GET", "/erasure").json()["data"]["compaction"] == "done"


def _verified(app: AppProcess, monkeypatch: pytest.MonkeyPatch) -> int:
    for name, value in named(app.data_dir).items():
        monkeypatch.setenv(name, value)
    return audit.main(["verify"])


def test_a_customer_is_erased_everywhere(app: AppProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    _say(app, "mine", f"Where is my order 1043? {WORDS}")
    asked = _say(app, "mine", f"Cancel order 1042, {WORDS}")
    customer = _customer_of(app, "mine")
    _say(app, "other", "Where is my order 1047?")
    assert _customer_of(app, "other") != customer
    approval_id = asked["approval"]["approval_id"]
    assert _bytes(app).count(WORDS.encode()) > 3
    erased = _ask(app, "DELETE", f"/customers/{customer}")
    assert erased.status_code == 200, erased.text
    assert erased.json()["data"]["conversations"] == 1
    _compacted(app)
    assert WORDS.encode() not in _bytes(app)
    assert _ask(app, "GET", "/replay/mine").status_code == 404
    kept = _ask(app, "GET", f"/approvals/{approval_id}").json()["data"]
    assert (kept["status"], kept["decided_by"], kept["args"], kept["reason"]) == ("rejected", "ann", {}, None)
    assert _ask(app, "GET", f"/approvals/{approval_id}/history").status_code == 200
    assert len(_ask(app, "GET", "/replay/other").json()["data"]) > 3
    assert _ask(app, "GET", "/analytics").json()["data"]["conversations"] == 1
    assert _verified(app, monkeypatch) == 0
    # The number is free again, and what is said under it is a new conversation.
    assert _say(app, "mine", "hello")["status"] == "complete"
    again = _ask(app, "DELETE", f"/customers/{customer}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")


def test_a_blanked_record_still_tells_of_tampering(app: AppProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _verified(app, monkeypatch) == 0
    state = state_of(app.data_dir)
    row = state.execute_now("SELECT number, actor FROM audit WHERE detail = '{}' LIMIT 1")[0]
    change = "UPDATE audit SET actor = :actor WHERE number = :number"
    state.execute_now(change, row | {"actor": "mallory"})
    assert _verified(app, monkeypatch) == 1
    state.execute_now(change, row)
    state.close()
    assert _verified(app, monkeypatch) == 0


def test_only_an_admin_may(app: AppProcess) -> None:
    assert _ask(app, "DELETE", "/customers/CU-1", who="lee").status_code == 403
    assert httpx.delete(f"{app.url}/api/v1/customers/CU-1", timeout=60).status_code == 401


def test_what_is_too_old_goes_by_itself_and_the_rest_stays(data_dir: Path) -> None:
    async def past() -> None:
        async with open_stores(Settings(data_dir=data_dir, database_url=database_url(data_dir))) as stores:
            await record(stores.event_log, resolved("old", clock.now() - timedelta(days=31)))
            await record(stores.event_log, resolved("young", clock.now() - timedelta(days=29)))

    asyncio.run(past())
    with AppProcess(data_dir, KEEP_DAYS=30) as app:
        deadline = time.monotonic() + 60
        while httpx.get(f"{app.url}/api/v1/replay/old", timeout=60).status_code != 404:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # it goes in the background
        assert httpx.get(f"{app.url}/api/v1/replay/young", timeout=60).status_code == 200
