"""Killed around a delivery: no notification is lost, and doubles have one id."""

import asyncio
from pathlib import Path

import httpx
import orjson
import pytest

from tests.support.kills.app import RECORDED, SECRET_VARIABLE, SENT
from tests.support.kills.traffic import Traffic
from tests.support.webhook import Webhook


@pytest.mark.slow
async def test_a_notification_survives_its_process(tmp_path: Path) -> None:
    with Webhook() as receiver:
        target = {
            "name": "hook",
            "type": "webhook",
            "url": receiver.url,
            "secret_env": SECRET_VARIABLE,
            "events": ["approval.requested"],
        }
        (tmp_path / "notify.yaml").write_text(orjson.dumps({"targets": [target]}).decode())
        traffic = Traffic(tmp_path, 7)
        assert await traffic.start(RECORDED)
        async with httpx.AsyncClient(timeout=60) as client:
            asked = asyncio.create_task(client.post(f"{traffic.url}/chat", json={"message": "strike IT-1"}))
            await asyncio.to_thread(traffic.process.join, 60)
            await asyncio.gather(asked, return_exceptions=True)
        assert receiver.got == []
        # It is sent at the next start, and again at the one after that.
        await traffic.start(SENT)
        await asyncio.to_thread(traffic.process.join, 60)
        assert len(receiver.got) == 1
        assert await traffic.start()
        try:
            for _ in range(2):
                await asyncio.to_thread(receiver.senders.get, timeout=60)
        finally:
            traffic.kill()
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        assert {orjson.loads(body)["type"] for _, body in receiver.got} == {"approval.requested"}
