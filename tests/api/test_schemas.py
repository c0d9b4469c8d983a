"""What `/api/v1/openapi.json` says of answers, held against real ones and against whatever may be asked."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded
from tests.support.shop_api import ShopApi, shop_api
from tests.support.stores import of_files

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
# No schema can say whether a text is SQL, a cursor that was given out, an API's description, or a later time
# than another.
TOLD_BY_READING = {
    "GET /analytics",
    "GET /analytics/export",
    "GET /conversations",
    "GET /inbox",
    "POST /analytics/sql",
    "POST /openapi/import",
}
Described = dict[str, Any]
NEED_A_MODEL = {"POST /openapi/jobs/{job_id}/words"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    folder = tmp_path_factory.mktemp("described")
    targets = folder / "notify.yaml"
    # Nobody listens on this port.
    mail = "name: mail, type: email, host: 127.0.0.1, port: 1, security: none, from: a@b.c, to: a@b.c"
    targets.write_text(f"targets: [{{{mail}, events: approval.requested}}]")
    settings = {"ALLOWED_HOSTS": "127.0.0.1", "NOTIFY_FILE": targets}
    with AppProcess(folder / "var", **settings) as running:
        yield running


@pytest.fixture(scope="module")
def described(app: AppProcess) -> Described:
    found: Described = httpx.get(f"{app.url}/api/v1/openapi.json", timeout=60).json()
    return found


def _checks(case: Any) -> list[Any]:
    told_by_reading = case.operation.label.replace("/api/v1", "") in TOLD_BY_READING
    return CHECKS if told_by_reading else [*CHECKS, checks.positive_data_acceptance]


def _cases(app: AppProcess, described: Described, examples: int) -> None:
    schema = schemathesis.openapi.from_dict(described)
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
                if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
                    continue  # nothing of it can be wrong

                @seed(7)
                @settings(
                    max_examples=examples,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def holds(case: Any) -> None:
                    case.call_and_validate(base_url=app.url, session=session, checks=_checks(case))

                holds()


def test_whatever_fits_or_breaks_the_description_is_answered_as_described(
    app: AppProcess, described: Described
) -> None:
    _cases(app, described, 1)


@pytest.mark.nightly
def test_whatever_fits_or_breaks_it_at_length(app: AppProcess, described: Described) -> None:
    _cases(app, described, 100)
    # Nothing is frozen for the tests that follow.
    for freeze in app.get("/freeze"):
        lifted = httpx.delete(f"{app.url}/api/v1/freeze/{quote(freeze['scope'], safe='')}", timeout=30)
        assert lifted.status_code == 200, lifted.text


@pytest.mark.parametrize("since", ["1970-01-01", "0186-12-17T04:39:50Z", "5000-01-01"])
def test_a_span_to_the_end_of_the_calendar_has_figures(app: AppProcess, since: str) -> None:
    asked = {"since": since, "until": "9999-12-31", "compare": "true"}
    found = httpx.get(f"{app.url}/api/v1/analytics", params=asked, timeout=30)
    assert found.status_code == 200
    assert found.json()["data"]["previous"] is None


class _Reader:
    """Asks, and holds each answer against its description; remembers which were right answers."""

    def __init__(self, app: AppProcess, described: Described) -> None:
        self.client = httpx.Client(base_url=app.url, timeout=30)
        self._described = described
        self.right: set[str] = set()

    def ask(self, method: str, path: str, body: Any = None, **filled: str) -> Any:
        answer = self.client.request(method, f"/api/v1{path.format(**filled)}", json=body)
        path = path.partition("?")[0]
        responses = self._described["paths"][f"/api/v1{path}"][method.lower()]["responses"]
        status = str(answer.status_code)
        content = responses.get(status, responses.get(f"{status[0]}XX"))["content"]
        kind = answer.headers["content-type"].split(";")[0]
        assert kind in content, (path, kind)
        if answer.status_code < 300:
            self.right.add(f"{method} {path}")
        if kind != "application/json":
            return answer.content
        schema = content[kind]["schema"] | {"components": self._described["components"]}
        jsonschema.validate(answer.json(), schema)
        return answer.json().get("data")


@of_files
def test_real_answers_are_as_described(app: AppProcess, described: Described) -> None:
    reader = _Reader(app, described)
    ask = reader.ask
    for path in (
        "/health",
        "/me",
        "/agents",
        "/tools",
        "/analytics/definitions",
        "/demo-history",
        "/erasure",
    ):
        ask("GET", path)
    ask("POST", "/chat", {"thread_id": "told", "message": "Where is order 1042?"})
    ask("POST", "/chat", {"thread_id": "told", "message": "I want a human"})
    waits = ask("POST", "/chat", {"thread_id": "told", "message": "Cancel order 1042"})
    assert waits["status"] == "awaiting_approval"
    one = {"approval_id": waits["approval"]["approval_id"]}
    ask("POST", "/approvals/{approval_id}/claim", **one)
    ask("POST", "/approvals/{approval_id}/preview", {"args": waits["approval"]["args"]}, **one)
    ask("POST", "/approvals/{approval_id}/notes", {"text": "a note"}, **one)
    ask("DELETE", "/approvals/{approval_id}/claim", **one)
    ask("GET", "/approvals")
    ask("POST", "/approvals/{approval_id}/decision", {"decision": "reject", "reason": "no"}, **one)
    ask("POST", "/approvals/{approval_id}/decision", {"decision": "approve"}, **one)
    ask("GET", "/approvals/{approval_id}", **one)
    ask("GET", "/approvals/{approval_id}/history", **one)
    ask("GET", "/approvals/{approval_id}/context", **one)
    again = ask("POST", "/chat", {"thread_id": "told-2", "message": "Cancel order 1042"})["approval"]
    ask("POST", "/approvals/batch", {"approval_ids": [again["approval_id"], "x"], "decision": "approve"})
    for escalation in ask("GET", "/escalations"):
        ask("POST", "/escalations/{escalation_id}/handled", escalation_id=escalation["escalation_id"])
        ask("POST", "/escalations/{escalation_id}/resend", escalation_id=escalation["escalation_id"])
    ask("POST", "/notifications/resend")
    notification = ask("GET", "/notifications")[0]
    ask("POST", "/notifications/{notification_id}/resend", notification_id=notification["notification_id"])
    action = ask("POST", "/actions", {"tool": "get_order_status", "args": {"order_id": "1042"}})
    ask("GET", "/actions/{action_id}", action_id=action["action_id"])
    assert ask("GET", "/callers")[0]["last_used_at"] is not None
    ask("POST", "/callers/{name}/disable", {"reason": "a test"}, name="local user")
    ask("POST", "/callers/{name}/enable", name="local user")
    ask("POST", "/freeze", {"scope": "tool:nothing", "reason": "a test"})
    assert [freeze["scope"] for freeze in ask("GET", "/freeze")] == ["tool:nothing"]
    ask("DELETE", "/freeze/{scope}", scope="tool:nothing")
    ask("GET", "/conversations")
    ask("GET", "/inbox")
    ask("GET", "/inbox?filter=escalated&q=human")
    ask("GET", "/inbox/{thread_id}", thread_id="told")
    ask("POST", "/inbox/{thread_id}/seen", {"seq": 1}, thread_id="told")
    ask("GET", "/inbox/{thread_id}/customer", thread_id="told")
    ask("GET", "/inbox/{thread_id}/customer/card", thread_id="told")
    ask("POST", "/conversations/{thread_id}/takeover", thread_id="told")
    ask("POST", "/conversations/{thread_id}/messages", {"content": "I am here."}, thread_id="told")
    ask("POST", "/conversations/{thread_id}/notes", {"content": "Kim"}, thread_id="told")
    ask("GET", "/conversations/{thread_id}/notes", thread_id="told")
    ask("POST", "/conversations/{thread_id}/release", {"note": "Done."}, thread_id="told")
    ask("GET", "/replay/{thread_id}", thread_id="told")
    ask("GET", "/replay/{thread_id}/outline?q=coupon", thread_id="told")
    ask("GET", "/replay/{thread_id}/all", thread_id="told")
    ask("GET", "/replay/{thread_id}/test", thread_id="told")
    other = {"approval_id": one["approval_id"], "decision": "approve"}
    ask("POST", "/replay/{thread_id}/what-if", other, thread_id="told")
    ask("GET", "/analytics?compare=true")
    ask("GET", "/analytics/export?format=csv")
    ask("GET", "/analytics/export?format=parquet")
    ask("GET", "/analytics/export?what=decisions&columns=decided_at,outcome")
    ask("GET", "/analytics/export?what=figures")
    ask("POST", "/analytics/sql", {"sql": "SELECT type, count(*) FROM events GROUP BY ALL"})
    ask("GET", "/metrics")
    ask("POST", "/backup")
    with shop_api() as api:
        _import(reader, api)
    ask("DELETE", "/demo-history")
    ask("DELETE", "/customers/{customer_id}", customer_id=waits["approval"]["customer_id"])
    prefix = "/api/v1"
    everything = {
        f"{method.upper()} {path.removeprefix(prefix)}"
        for path, methods in described["paths"].items()
        for method in methods
    }
    assert everything - reader.right == NEED_A_MODEL


_WITH_ANOTHER_HOST = {
    "openapi": "3.1.0",
    "info": {"title": "Two hosts", "version": "1"},
    "servers": [{"url": "https://api.example"}],
    "paths": {
        "/files": {
            "servers": [{"url": "https://other.example"}],
            "get": {"operationId": "list_files", "responses": {"200": {"description": "The files"}}},
        }
    },
}


def _import(reader: _Reader, api: ShopApi) -> None:
    ask = reader.ask
    job = ask("POST", "/openapi/import", {"url": f"{api.url}/openapi.json"})
    one = {"job_id": job["job_id"]}
    loaded(lambda: ask("GET", "/openapi/jobs/{job_id}", **one))
    ask("GET", "/openapi/jobs")
    key = ask("GET", "/openapi/jobs/{job_id}/operations", **one)[0]["key"]
    ask("PATCH", "/openapi/jobs/{job_id}/operations", {"keys": [key], "changes": {"enabled": True}}, **one)
    ask("PATCH", "/openapi/jobs/{job_id}/operations/{key}", {"risk": "low"}, key=key, **one)
    ask("PUT", "/openapi/jobs/{job_id}/place", {"base_url": api.url}, **one)
    secret = {"scheme": "key", "values": {"value": "secret-1"}}
    ask("PUT", "/openapi/jobs/{job_id}/credentials", secret, **one)
    ask("POST", "/openapi/jobs/{job_id}/try/{key}", {"args": {}}, key="list_tickets", **one)
    ask("POST", "/openapi/jobs/{job_id}/approve", **one)
    ask("POST", "/openapi/jobs/{job_id}/remove", **one)
    other = {"job_id": ask("POST", "/openapi/import", {"spec": _WITH_ANOTHER_HOST})["job_id"]}
    loaded(lambda: ask("GET", "/openapi/jobs/{job_id}", **other))
    allowed = {"origin": "https://other.example", "allowed": True}
    ask("PUT", "/openapi/jobs/{job_id}/hosts", allowed, **other)


def test_an_approval_has_the_fields_of_its_schema(app: AppProcess, described: Described) -> None:
    said = {"thread_id": "fields", "message": "give me a 10% coupon"}
    approval = httpx.post(f"{app.url}/api/v1/chat", json=said, timeout=30).json()["data"]["approval"]
    schema = described["components"]["schemas"]["Approval"]
    assert set(approval) == set(schema["properties"]) == set(schema["required"])
    assert {"need", "votes", "facts", "effect", "digest"} <= set(approval)
