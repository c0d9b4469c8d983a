"""A conversation becomes a test of this suite, and the test holds."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.harness import ROOT, AppProcess, Client, run_python


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where tests are found with their fixtures; empty again afterwards."""
    path = ROOT / "tests" / "recorded"
    path.mkdir()
    (path / "__init__.py").touch()
    yield path
    for file in sorted(path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    path.rmdir()


async def test_a_conversation_is_saved_as_a_test_that_passes(server: AppProcess, folder: Path) -> None:
    thread_id = "to-be-recorded"
    async with await Client.connect(server.ws_url) as client:
        await client.turn(thread_id, "Where is my order 1044?")
        for reason in ("", "one is enough"):
            end = (await client.turn(thread_id, "Make me a coupon for 10%"))[-1]
            assert end["type"] == "interrupt"
            answer = {"approved": not reason, "reason": reason or "he waited long"}
            await client.send(type="interrupt_response", thread_id=thread_id, **answer)
            await client.until("message_complete", thread_id=thread_id)
    async with httpx.AsyncClient(timeout=60) as rest:
        found = await rest.get(f"{server.url}/api/v1/replay/{thread_id}/test")
    assert found.headers["content-disposition"] == 'attachment; filename="test_to_be_recorded.py"'
    source = found.text
    assert source.count("'generate_coupon'") == 4
    (folder / "test_as_it_was.py").write_text(source)
    (folder / "test_otherwise.py").write_text(source.replace("'ok'", "'error'"))
    ran = await asyncio.to_thread(_ran, folder)
    assert "1 failed, 1 passed" in ran
    assert "FAILED tests/recorded/test_otherwise.py" in ran


def test_what_can_not_be_repeated_is_told(server: AppProcess) -> None:
    server.post("/chat", {"thread_id": "half-way", "message": "Make me a coupon for 5%"})
    refused = httpx.get(f"{server.url}/api/v1/replay/half-way/test", timeout=60)
    assert refused.status_code == 422
    assert "still pending" in refused.json()["error"]["message"]
    assert httpx.get(f"{server.url}/api/v1/replay/nobody/test", timeout=60).status_code == 404


def _ran(folder: Path) -> str:
    return run_python("-m", "pytest", "-p", "no:cacheprovider", str(folder)).stdout
