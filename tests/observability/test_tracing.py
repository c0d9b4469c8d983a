"""Traces: a real app sends to a collector on loopback that decodes what arrives; and none where not asked."""

import asyncio
import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from smart_support.errors import ConfigError
from smart_support.observability import tracing
from tests.support.harness import FORKING, AppProcess, Client
from tests.support.loopback import Asked, loopback, reply
from tests.support.preloaded import loaded

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class _Collector:
    """What was received, span by span."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self.raw = b""

    def answer(self, asked: Asked) -> bytes:
        """Take one export (OTLP/HTTP, protobuf)."""
        assert asked.target == "/v1/traces"
        body = gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = _attributes(resource.resource)
            self.spans += [
                {
                    "name": span.name,
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "trace": span.trace_id.hex(),
                    "service": about["service.name"],
                    **_attributes(span),
                }
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        self.arrived.set()
        return reply(content_type="application/x-protobuf")

    async def until(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The spans of that name, once there are so many."""
        async with asyncio.timeout(60):
            while len(found := [span for span in self.spans if span["name"] == name]) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return found


def _attributes(item: Any) -> dict[str, Any]:
    values = ((one.key, one.value) for one in item.attributes)
    return {name: getattr(value, str(value.WhichOneof("value"))) for name, value in values}


async def test_a_turn_its_model_tool_and_commit_are_spans_of_the_callers_trace(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = _Collector()
    async with loopback(collector.answer) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        app = await asyncio.to_thread(AppProcess(data_dir).start)
        try:
            async with httpx.AsyncClient(base_url=f"{app.url}/api/v1", timeout=30) as http:
                said = {"thread_id": "traced", "message": "Cancel order 1042 because xylophones are loud"}
                headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "from-the-caller"}
                waiting = (await http.post("/chat", json=said, headers=headers)).json()["data"]
                approval_id = waiting["approval"]["approval_id"]
                decision = {"decision": "approve", "reason": "marimba"}
                await http.post(f"/approvals/{approval_id}/decision", json=decision)
                await http.get("/conversations", params={"q": "xylophones"})
                await http.get("/health")
            async with await Client.connect(app.ws_url) as client:
                await client.send(type="resume", thread_id="traced")
                await client.until("message_complete")
            turns = await collector.until("turn", 2)
            (request,) = await collector.until("POST /api/v1/chat")
            asked = next(span for span in turns if span["trace"] == TRACE)
            resumed = next(span for span in turns if span["trace"] != TRACE)
            (tool,) = [
                s for s in await collector.until("tool cancel_order") if s["trace"] == resumed["trace"]
            ]
            models = [span for span in await collector.until("model") if span["trace"] == TRACE]
            commits = [span for span in await collector.until("commit") if span["trace"] == TRACE]
            await collector.until("GET /api/v1/conversations")
        finally:
            await asyncio.to_thread(app.stop)
    assert request["parent"] == PARENT
    assert asked["parent"] == request["id"]
    assert {span["parent"] for span in (*models, *commits)} == {asked["id"]}
    assert tool["parent"] == resumed["id"]
    for span in (asked, *models, *commits, resumed, tool):
        assert span["smart_support.thread_id"] == "traced"
        assert span["smart_support.turn_id"]
        assert span["service"] == "smart-support"
    for span in (request, asked):
        assert span["smart_support.request_id"] == "from-the-caller"
    assert asked["smart_support.approval_id"] == resumed["smart_support.approval_id"] == approval_id
    assert tool["smart_support.approval_id"] == approval_id
    assert not [span for span in collector.spans if "health" in span["name"]]
    for said_by_people in (b"xylophones", b"marimba", b"1042"):
        assert said_by_people not in collector.raw


def test_without_a_collector_no_exporter_is_imported(tmp_path: Path) -> None:
    found = tmp_path / "found"
    names = (str(found), "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf")
    process = FORKING.Process(target=loaded, args=names)
    process.start()
    process.join(60)
    assert found.read_text() == ""


def test_a_protocol_that_is_not_spoken_is_named_with_the_one_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(ConfigError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL=grpc.*http/protobuf"):
        tracing.configure("0")
