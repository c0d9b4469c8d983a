"""Calls of Gradio's functions as no client of ours sends them: each has a clear answer, and no 500."""

import asyncio
import functools
import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import interfaces
from tests.support.examples import examples
from tests.support.guarded import KEYS
from tests.support.harness import AppProcess

JSON = {"Content-Type": "application/json"}
SESSION = "a-session-of-dana"
# What a wrong answer would show.
INTERNALS = ("SELECT", "Traceback", "sqlite", "psycopg", "duckdb", 'File "', "KeyError", "TypeError")
WRONG: list[Any] = [0, 2**63, 1.5, True, None, ["x"], {"a": {"b": []}}, "\0", "x" * 20_000]


@pytest.fixture(scope="module")
def client(guarded: AppProcess) -> Iterator[httpx.Client]:
    """A lead; the session `SESSION` is another lead's."""
    with httpx.Client(base_url=guarded.url, headers={"X-API-Key": KEYS["dana"]}, timeout=30) as dana:
        own = dana.post("/gradio_api/queue/join", json=_join(guarded, "pending_approvals", [], SESSION))
        assert own.status_code == 200, own.text
    with httpx.Client(base_url=guarded.url, headers={"X-API-Key": KEYS["kim"]}, timeout=30) as kim:
        yield kim


@functools.cache
def _functions(app: AppProcess) -> dict[str, Any]:
    config = httpx.get(f"{app.url}/config", headers={"X-API-Key": KEYS["kim"]}, timeout=30).json()
    return {one["api_name"]: one for one in config["dependencies"] if one["backend_fn"]}


def _join(app: AppProcess, name: str, data: Any, session: Any = "s") -> dict[str, Any]:
    return {"data": data, "fn_index": _functions(app)[name]["id"], "session_hash": session}


def _code(answer: httpx.Response) -> tuple[int, str]:
    assert not [word for word in INTERNALS if word in answer.text], answer.text
    return answer.status_code, answer.json()["error"]["code"]


_BODY = json.dumps({"data": [], "fn_index": 0, "session_hash": SESSION})
_WITH_NAN = _BODY.replace("[]", "[NaN]")


@pytest.mark.parametrize(
    "body",
    [
        _WITH_NAN.encode(),
        _BODY.encode("utf-16"),
        _BODY.encode("utf-16-le"),
        _BODY.encode("utf-32"),
        _BODY.encode("utf-8-sig"),
        gzip.compress(_BODY.encode(), mtime=0),
        _BODY.replace(SESSION, "\\ud800").encode(),
        b"[" * 100_000,
        b"[]",
        b"null",
        b"",
    ],
)
@pytest.mark.parametrize("path", ["queue/join", "cancel", "call/chat", "call/v2/chat"])
def test_a_body_that_two_parsers_read_differently_is_refused(
    client: httpx.Client, path: str, body: bytes
) -> None:
    assert _code(client.post(f"/gradio_api/{path}", content=body, headers=JSON)) == (400, "invalid_json")


@pytest.mark.parametrize(
    "type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_is_sent_as_json(client: httpx.Client, type_: str) -> None:
    answer = client.post("/gradio_api/queue/join", content=_BODY, headers={"Content-Type": type_})
    assert _code(answer) == (400, "invalid_json")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(40))
@given(
    before=st.dictionaries(st.sampled_from(["session_hash", "data", "event_id", "x"]), _VALUES, max_size=3),
    after=st.dictionaries(st.sampled_from(["data", "fn_index", "trigger_id", "event_data"]), _VALUES),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"]),
    is_ascii=st.booleans(),
)
def test_no_body_reaches_another_user_s_session(
    client: httpx.Client, before: Any, after: Any, codec: str, is_ascii: bool
) -> None:
    # A name may stand in an object twice; the last one counts.
    parts = [*before.items(), ("session_hash", SESSION), *after.items()]
    listed = [f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=is_ascii)}" for name, value in parts]
    body = ("{" + ", ".join(listed) + "}").encode(codec, "replace")
    for path in ("queue/join", "cancel"):
        answer = client.post(f"/gradio_api/{path}", content=body, headers=JSON)
        assert _code(answer) in ((400, "invalid_json"), (403, "forbidden")), body


@pytest.mark.parametrize("name", ["", "x" * 201, 5, [SESSION], {"a": 1}, True])
def test_a_session_is_a_text(client: httpx.Client, guarded: AppProcess, name: Any) -> None:
    body = _join(guarded, "pending_approvals", [], name)
    assert _code(client.post("/gradio_api/queue/join", json=body)) == (422, "invalid_request")


@pytest.mark.parametrize("index", [99, -1, 2**60, 1.5, "0", None, True, [0], {}])
@pytest.mark.parametrize("path", ["queue/join", "cancel"])
def test_an_unknown_function_is_not_found(client: httpx.Client, path: str, index: Any) -> None:
    body = {"data": [], "fn_index": index, "session_hash": "s"}
    is_number = isinstance(index, int) and not isinstance(index, bool)
    expected = (404, "not_found") if is_number else (422, "invalid_request")
    assert _code(client.post(f"/gradio_api/{path}", json=body)) == expected


@pytest.mark.parametrize("path", ["call/nothing", "call/v2/nothing", "call/%00", "call/js_fn"])
def test_an_unknown_name_is_not_found(client: httpx.Client, path: str) -> None:
    assert _code(client.post(f"/gradio_api/{path}", json={"data": []})) == (404, "not_found")


def test_a_client_from_before_the_last_parameters_leaves_them_out(client: httpx.Client) -> None:
    """`customer_token` is the third one of the chat."""
    for data in (["hi"], ["hi", ""], ["hi", "", ""]):
        assert "event_id" in client.post("/gradio_api/call/chat", json={"data": data}).json()


def test_a_call_has_as_many_values_as_its_function(client: httpx.Client, guarded: AppProcess) -> None:
    for name, listed in _functions(guarded).items():
        count = len(listed["inputs"])
        for data in (
            None,
            {},
            "x",
            5,
            ["x"] * (count + 1),
            *([[]] if count and name not in ("conversations", "analytics") else []),
        ):
            body = _join(guarded, name, data)
            assert _code(client.post("/gradio_api/queue/join", json=body)) == (422, "invalid_request")
            by_name = client.post(f"/gradio_api/call/{name}", json={"data": data})
            assert _code(by_name) == (422, "invalid_request")
        assert _code(client.post(f"/gradio_api/call/{name}", json={})) == (422, "invalid_request")


def test_a_call_by_parameters_names_them(client: httpx.Client) -> None:
    for body in ({"nothing": 1}, {"approval_id": "x", "decision": "reject", "by": "dana"}, {"reason": "x"}):
        assert _code(client.post("/gradio_api/call/v2/decide", json=body)) == (422, "invalid_request")
    made = client.post("/gradio_api/call/v2/replay", json={"thread_id": "is-not-there"})
    told = client.get(f"/gradio_api/call/v2/replay/{made.json()['event_id']}").text
    assert "not_found" in told


async def test_a_value_of_a_wrong_type_is_a_clear_error(guarded: AppProcess) -> None:
    before = len(guarded.log())
    key = {"X-API-Key": KEYS["kim"]}
    calls = [
        (name, place, value)
        for name, listed in _functions(guarded).items()
        for place in range(len(listed["inputs"]))
        for value in WRONG
    ]
    functions, at_once = _functions(guarded), asyncio.Semaphore(8)

    async def call(name: str, place: int, value: Any) -> None:
        data: list[Any] = [None] * len(functions[name]["inputs"])
        data[place] = value
        async with at_once:
            told = await interfaces.called(
                guarded.url, key, f"{name}-{place}-{WRONG.index(value)}", functions[name]["id"], data
            )
        text = str(told[-1]["output"])
        assert not [word for word in INTERNALS if word in text], (name, place, value, text)
        assert told[-1]["success"] or "internal_error" not in text, (name, place, value, text)
        assert told[-1]["success"] or ": " in str(told[-1]["output"]["error"]), (name, place, value, text)

    await asyncio.gather(*(call(*one) for one in calls))
    assert "Traceback" not in guarded.log()[before:]


@pytest.mark.parametrize("trigger", [1.5, "x", [], True])
def test_a_trigger_is_a_number(client: httpx.Client, guarded: AppProcess, trigger: Any) -> None:
    body = _join(guarded, "pending_approvals", []) | {"trigger_id": trigger}
    assert _code(client.post("/gradio_api/queue/join", json=body)) == (422, "invalid_request")
