"""No credential goes to a host that nobody allowed for it: not by a server, a token URL, or a re-import."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_support.connectors.review.base_urls import origin_of
from smart_support.connectors.review.hosts import Host, hosts
from smart_support.connectors.review.import_store import ImportJob
from smart_support.errors import InvalidRequest, SmartSupportError
from smart_support.outbound.client import Fetched
from tests.support.examples import examples
from tests.support.import_service import Reviews, document, operation, reviews

OWN, OTHER, LOGIN = "https://api.example", "https://files.example", "https://login.example"
BEARER = {"type": "http", "scheme": "bearer"}
SECRETS = {
    "b": {"token": "secret-of-b"},
    "k": {"value": "secret-of-k"},
    "q": {"value": "secret-of-q"},
    "p": {"username": "user", "password": "secret-of-p"},
    "o": {"client_id": "client", "client_secret": "secret-of-o"},
}
_titles = itertools.count()


class Internet:
    """Answers every request, and keeps where it went and which secrets it contained."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, frozenset[str]]] = []

    async def request(self, method: str, url: str, **sent: Any) -> Fetched:
        """As `GuardedClient.request`."""
        text = unquote_plus((sent["content"] or b"").decode())
        parts = [url, unquote(url), text, *sent["headers"].values()]
        whole = " ".join([*parts, *map(_plain, parts)]).replace("token-of-o", "secret-of-o")
        secrets = frozenset(name for name in SECRETS if f"secret-of-{name}" in whole)
        self.seen.append((origin_of(url), urlsplit(url).path, secrets))
        answer = {"access_token": "token-of-o"} if "client_credentials" in text else {"ok": True}
        return Fetched(200, httpx.Headers(), orjson.dumps(answer), url)


def _plain(header: str) -> str:
    try:
        return base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return ""


def _schemes(token_url: str) -> dict[str, Any]:
    flow = {"clientCredentials": {"tokenUrl": token_url, "scopes": {}}}
    return {
        "b": BEARER,
        "k": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "q": {"type": "apiKey", "in": "query", "name": "key"},
        "p": {"type": "http", "scheme": "basic"},
        "o": {"type": "oauth2", "flows": flow},
    }


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Reviews]:
    async with reviews(tmp_path, client=Internet()) as running:
        yield running


async def _hosts(desk: Reviews, job: ImportJob) -> dict[str, Host]:
    job = await desk.service.store.job(job.job_id)
    return {one.origin: one for one in hosts(job, await desk.service.documents.get(job))}


async def _enter(desk: Reviews, job: ImportJob, *schemes: str) -> None:
    for name in schemes:
        await desk.service.enter_credentials(job.job_id, name, SECRETS[name])


def _seen(desk: Reviews) -> list[tuple[str, str, frozenset[str]]]:
    internet: Any = desk.client
    return list(internet.seen)


def _case(name: str) -> dict[str, Any]:
    """A description, with public names instead of addresses on loopback."""
    text = (Path(__file__).parents[1] / "fixtures" / name).read_text()
    described: dict[str, Any] = json.loads(
        text.replace("http://127.0.0.1:7892", OWN).replace("http://127.0.0.1:7893", OTHER)
    )
    return described


async def test_servers_of_operations_and_paths_are_called_only_once_allowed(desk: Reviews) -> None:
    spec = _case("servers.json")
    del spec["paths"]["/rel"]
    job = await desk.imported(spec)
    await _enter(desk, job, "b")
    listed = await _hosts(desk, job)
    assert {where: (one.is_own, one.is_allowed) for where, one in listed.items()} == {
        OWN: (True, True),
        OTHER: (False, False),
    }
    assert (listed[OTHER].operations, listed[OTHER].schemes) == (("GET /pl", "GET /ol"), ("b",))
    with pytest.raises(InvalidRequest, match="not allowed"):
        await desk.service.try_out(job.job_id, "pl_get", {})
    await desk.service.approve(job.job_id, by="dana")
    assert {*desk.tools} == {"main_get"}
    assert [one.tool_name for one in desk.active.unusable] == ["pl_get", "ol_get"]
    await desk.service.allow_host(job.job_id, OTHER, allow=True)
    for name in desk.tools:
        await desk.call(name)
    assert _seen(desk) == [
        (OWN, "/main", {"b"}),
        (OTHER, "/pl/pl", {"b"}),
        (OTHER, "/ol/v9/ol", {"b"}),
    ]
    await desk.service.allow_host(job.job_id, OTHER, allow=False)
    assert {*desk.tools} == {"main_get"}


async def test_a_relative_token_url_is_that_of_the_api_and_not_of_an_operation(desk: Reviews) -> None:
    job = await desk.imported(_case("oauth_relative.json"))
    await _enter(desk, job, "o")
    await desk.service.approve(job.job_id, by="dana")
    await desk.service.allow_host(job.job_id, OTHER, allow=True)
    for name in desk.tools:
        await desk.call(name)
    assert _seen(desk) == [
        (OWN, "/oauth/token", {"o"}),
        (OWN, "/api/main", {"o"}),
        (OTHER, "/x/other", {"o"}),
    ]


async def test_a_token_endpoint_elsewhere_gets_the_client_secret_once_allowed(desk: Reviews) -> None:
    schemes = {"securitySchemes": _schemes(f"{LOGIN}/token")}
    paths = {"/a": {"get": operation("a", security=[{"o": []}])}}
    job = await desk.imported(document("Desk", OWN, paths, components=schemes))
    await _enter(desk, job, "o")
    assert (await _hosts(desk, job))[LOGIN].token_schemes == ("o",)
    await desk.service.approve(job.job_id, by="dana")
    with pytest.raises(SmartSupportError):
        await desk.call("a")
    assert _seen(desk) == []
    await desk.service.allow_host(job.job_id, LOGIN, allow=True)
    await desk.call("a")
    assert _seen(desk) == [(LOGIN, "/token", {"o"}), (OWN, "/a", {"o"})]


async def test_what_a_re_import_adds_to_an_allowed_host_is_allowed_anew(desk: Reviews) -> None:
    schemes = {"securitySchemes": _schemes("/token")}
    there = [{"url": OTHER}]
    paths: dict[str, Any] = {"/a": {"get": operation("a", servers=there, security=[{"b": []}])}}
    first = await desk.imported(document("Desk", OWN, paths, components=schemes))
    await _enter(desk, first, "b", "k")
    await desk.service.allow_host(first.job_id, OTHER, allow=True)
    await desk.service.approve(first.job_id, by="dana")
    paths["/c"] = {"get": operation("c", servers=there, security=[{"k": []}])}
    paths["/d"] = {"get": operation("d", servers=[{"url": LOGIN}], security=[{"b": []}])}
    second = await desk.imported(document("Desk", OWN, paths, components=schemes))
    listed = await _hosts(desk, second)
    assert {where: one.is_allowed for where, one in listed.items()} == {OWN: True, OTHER: False, LOGIN: False}
    await desk.service.approve(second.job_id, by="dana")
    await desk.call("a")
    with pytest.raises(SmartSupportError):
        await desk.call("c")
    assert "d" not in desk.tools
    assert _seen(desk) == [(OTHER, "/a", {"b"})]


async def test_an_import_from_before_keeps_its_token_endpoint_and_loses_other_hosts(desk: Reviews) -> None:
    schemes = {"securitySchemes": _schemes(f"{LOGIN}/token")}
    paths = {
        "/a": {"get": operation("a", security=[{"o": []}])},
        "/b": {"get": operation("b", security=[{"o": []}], servers=[{"url": OTHER}])},
    }
    job = await desk.imported(document("Desk", OWN, paths, components=schemes))
    await _enter(desk, job, "o")
    await desk.service.approve(job.job_id, by="dana")
    await desk.service.store.update(job.job_id, allowed_hosts=None)
    await desk.service.activate_stored()
    await desk.call("a")
    assert {*desk.tools} == {"a"}
    assert [where for where, _, _ in _seen(desk)] == [LOGIN, OWN]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://A.example:443/x", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("https://a.example:80", "https://a.example:80"),
        ("http://[::1]:7860/x", "http://[::1]:7860"),
        ("/relative", ""),
        ("https://a.example:port", ""),
    ],
)
def test_an_origin_has_no_default_port(url: str, expected: str) -> None:
    assert origin_of(url) == expected


URLS = st.sampled_from([OWN, f"{OWN}/v2", "https://API.example:443/v3", f"{OWN}:8443", OTHER, LOGIN, "/rel"])
SERVERS = st.lists(URLS, max_size=1).map(lambda urls: [{"url": url} for url in urls])
ALTERNATIVES = st.dictionaries(st.sampled_from([*SECRETS]), st.just([]), min_size=1, max_size=2)
SECURITY = st.one_of(st.just([]), st.lists(ALTERNATIVES, min_size=1, max_size=2))
OPERATIONS = st.lists(st.tuples(SERVERS, SERVERS, SECURITY), min_size=1, max_size=4)
TOKEN_URLS = st.sampled_from(["/token", "token", f"{LOGIN}/token", f"{OTHER}/token", f"{OWN}:8443/token"])
SPECS = st.tuples(OPERATIONS, TOKEN_URLS)
TICKS = st.sets(st.sampled_from([OTHER, LOGIN, f"{OWN}:8443"]))


def _spec(title: str, drawn: tuple[Any, str]) -> dict[str, Any]:
    operations, token_url = drawn
    paths = {
        f"/{place}": {"servers": path, "get": operation(f"op{place}", servers=own, security=security)}
        for place, (path, own, security) in enumerate(operations)
    }
    return document(title, OWN, paths, components={"securitySchemes": _schemes(token_url)})


async def _call_everything(folder: Path, first: Any, second: Any, ticked: set[str]) -> list[Any]:
    """What was sent in all, and what was allowed for it when it was sent."""
    async with reviews(folder, client=Internet()) as desk:
        title, before = f"Desk {next(_titles)}", 0
        allowed: dict[str, Host] = {}
        checks: list[Any] = []
        for number, drawn in enumerate((first, second)):
            job = await desk.imported(_spec(title, drawn))
            await _enter(desk, job, *SECRETS)
            for where in ticked if number == 0 else ():
                if where in (listed := await _hosts(desk, job)):
                    await desk.service.allow_host(job.job_id, where, allow=True)
                    allowed[where] = listed[where]
            for key in await desk.service.store.operations(job.job_id):
                try:
                    await desk.service.try_out(job.job_id, key, {})
                except (SmartSupportError, TimeoutError):
                    continue
            try:
                await desk.service.approve(job.job_id, by="dana")
            except InvalidRequest:
                return checks
            for name in desk.tools:
                try:
                    await desk.call(name)
                except (SmartSupportError, TimeoutError):
                    continue
            checks += [(*sent, allowed.copy()) for sent in _seen(desk)[before:]]
            before = len(_seen(desk))
        return checks


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(SPECS, SPECS, TICKS)
def test_no_request_goes_to_a_host_that_was_not_allowed_for_its_credentials(
    first: Any, second: Any, ticked: set[str]
) -> None:
    with TemporaryDirectory() as folder:
        sent = asyncio.run(_call_everything(Path(folder), first, second, ticked))
    for where, path, secrets, allowed in sent:
        if where == OWN:
            continue
        assert where in allowed, f"{where} was called"
        is_login = path.endswith("token")
        given = allowed[where].token_schemes if is_login else allowed[where].schemes
        assert secrets <= {*given}, f"{secrets} went to {where}"
