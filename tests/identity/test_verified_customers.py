"""A conversation of a verified customer, at every interface that a message or a resume comes through."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import jwt
import orjson
import pytest
from gradio_client import Client as GradioClient

from smart_support import Settings, create_app
from tests.support.harness import ROOT, Client, LocalApp, spoken

SECRET = "a secret of the website, 32 bytes"
SITE, LEAD = {"X-API-Key": "site-key-1"}, {"X-API-Key": "lead-key-1"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApp]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("verified") / "var",
        api_keys="site:operator:site-key-1,dana:lead:lead-key-1",
        customer_token_key=SECRET,
    )
    with LocalApp(create_app(settings)) as running:
        yield running


def _token(sub: str = "C-2001", **claims: Any) -> str:
    """A token as a website signs it. C-2001 has order 1042, and order 1043 is another customer's."""
    return jwt.encode({"sub": sub, "exp": time.time() + 60, "name": "Maya Chen"} | claims, SECRET)


def _chat(app: LocalApp, thread_id: str, token: Any = None, headers: Any = SITE, words: str = "Hi") -> Any:
    body = {"thread_id": thread_id, "message": words} | ({"customer_token": token} if token else {})
    return app.request("POST", "/chat", json=body, headers=headers).json()


def _codes(answers: list[Any]) -> list[Any]:
    return [(answer["error"] or {}).get("code") for answer in answers]


def test_rest(app: LocalApp) -> None:
    """The first token binds; after that only this customer's, or a lead without one."""
    answers = [
        _chat(app, "rest"),
        _chat(app, "rest", _token()),
        _chat(app, "rest"),
        _chat(app, "rest", _token("C-2002")),
        _chat(app, "rest", _token(exp=1)),
        _chat(app, "rest", "nonsense"),
        _chat(app, "rest", _token(thread_id="other")),
        _chat(app, "rest", headers=LEAD),
        _chat(app, "rest", _token("C-2002"), headers=LEAD),
        _chat(app, "rest", _token()),
    ]
    mismatch, invalid = "customer_mismatch", "invalid_customer_token"
    expected = [None, None, mismatch, mismatch, invalid, invalid, invalid, None, mismatch, None]
    assert _codes(answers) == expected
    replay = app.request("GET", "/replay/rest", headers=SITE)
    assert (replay.status_code, replay.json()["error"]["code"]) == (403, mismatch)
    assert app.request("GET", "/replay/rest", headers=LEAD).status_code == 200
    for path in ("/inbox", "/conversations"):
        for headers, is_listed in ((SITE, False), (LEAD, True)):
            listed = app.request("GET", path, headers=headers).json()["data"]
            assert ("rest" in {one["thread_id"] for one in listed}) is is_listed


def test_agents_reach_only_what_is_the_customers(app: LocalApp) -> None:
    others = _chat(app, "own", _token(), words="Where is my order 1043?")
    assert "own things" in others["data"]["reply"]
    own = _chat(app, "own", _token(), words="Please cancel order 1042")["data"]["approval"]
    assert own["customer"] == {"id": "C-2001", "verified": True, "name": "Maya Chen"}
    listed = app.request("GET", "/conversations", params={"q": "1043"}, headers=LEAD).json()["data"]
    assert {one["customer_id"] for one in listed if one["thread_id"] == "own"} <= {"C-2001"}


async def test_the_socket(app: LocalApp) -> None:
    url = f"{app.ws_url}?token=site-key-1"
    async with await Client.connect(url) as client, await Client.connect(url) as other:
        await client.send(type="message", thread_id="socket", content="Hi", customer_token=_token())
        await client.until("message_complete")
        for given, code in (
            ({}, "customer_mismatch"),
            ({"customer_token": _token("C-2002")}, "customer_mismatch"),
            ({"customer_token": "x"}, "invalid_customer_token"),
            ({"customer_token": 7}, "invalid_customer_token"),
        ):
            for frame in ({"type": "resume"}, {"type": "message", "content": "Hi"}):
                await other.send(thread_id="socket", **frame, **given)
                assert (await other.next())["code"] == code
        await other.send(type="resume", thread_id="socket", customer_token=_token())
        assert spoken(await other.until("message_complete"))


async def test_a_resume_binds(app: LocalApp) -> None:
    async with await Client.connect(f"{app.ws_url}?token=site-key-1") as client:
        await client.send(type="message", thread_id="resumed", content="Hi")
        await client.until("message_complete")
        await client.send(type="resume", thread_id="resumed", customer_token=_token())
        await client.until("message_complete")
        await client.send(type="message", thread_id="resumed", content="Hi", customer_token=_token("C-2002"))
        assert (await client.next())["code"] == "customer_mismatch"


@pytest.mark.parametrize("frame", ["message", "resume"])
async def test_who_follows_without_a_token_gets_nothing_once_it_is_bound(app: LocalApp, frame: str) -> None:
    thread_id = f"followed-by-{frame}"
    site, lead = (f"{app.ws_url}?token={key}" for key in ("site-key-1", "lead-key-1"))
    async with (
        await Client.connect(site) as client,
        await Client.connect(site) as other,
        await Client.connect(lead) as colleague,
    ):
        await client.send(type="message", thread_id=thread_id, content="Hi")
        await client.until("message_complete")
        await other.send(type=frame, thread_id=thread_id, content="Hello")
        await other.until("message_complete")
        await colleague.send(type="resume", thread_id=thread_id)
        await colleague.until("message_complete")
        seen = len(other.seen)
        await client.send(type="message", thread_id=thread_id, content="Secret", customer_token=_token())
        await client.until("message", content="Secret")
        await colleague.until("message", content="Secret")
        await other.send(type="ping")
        await other.until("pong")
        assert [(one["type"], one.get("code")) for one in other.seen[seen:]] == [
            ("error", "customer_mismatch"),
            ("pong", None),
        ]


def test_the_function_of_the_console(app: LocalApp) -> None:
    client = GradioClient(app.url, headers=SITE, verbose=False)
    said = {"message": "Hi", "thread_id": "gradio", "api_name": "/chat"}
    assert client.predict(**said, customer_token=_token())["status"] == "complete"
    assert client.predict(**said)["error"]["code"] == "customer_mismatch"
    assert client.predict("Hi", "gradio", "x", api_name="/chat")["error"]["code"] == "invalid_customer_token"
    assert client.predict("Hi", "gradio-2", api_name="/chat")["status"] == "complete"


def test_the_page_for_websites(app: LocalApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code signs a token, and its command sends it."""
    page = (ROOT / "docs/customers.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.S)
    [command] = re.findall(r"```sh\n(.*?)```", page, re.S)
    made: dict[str, Any] = {}
    monkeypatch.setenv("CUSTOMER_TOKEN_KEY", SECRET)
    exec(code, made)
    token = made["customer_token"]({"id": "C-2001", "name": "Maya Chen", "email": "maya@example.com"})
    command = command.replace("http://127.0.0.1:7860", app.url).replace(
        "curl", "curl -H 'X-API-Key: site-key-1'", 1
    )
    sent = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"TOKEN": token},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert "1042" in orjson.loads(sent.stdout)["data"]["reply"]
