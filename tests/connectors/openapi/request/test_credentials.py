"""Credentials reach the API where it wants them, whatever arguments say, and show up nowhere else."""

import base64
from typing import Any

import pytest

from smart_support.connectors.openapi.document.operation import Parameter
from smart_support.connectors.openapi.document.security import SecurityScheme
from smart_support.connectors.openapi.request.credentials import (
    Credential,
    add_credentials,
    select_credentials,
)
from smart_support.connectors.openapi.request.request import build_request
from smart_support.errors import InvalidRequest, ToolFailed
from tests.support.wire import Received, Wire, an_operation

SECRET = "hunter2-Tk9/+="
BEARER = SecurityScheme(name="bearer", kind="bearer")
BASIC = SecurityScheme(name="basic", kind="basic")
OAUTH = SecurityScheme(
    name="oauth", kind="oauth2", token_url="https://login.test/token", scopes=("read", "write")
)
COMPLETE = {"username": "dana", "password": SECRET, "token": SECRET, "value": SECRET} | {
    "client_id": "us",
    "client_secret": SECRET,
}


def _key(where: str, parameter: str = "api_key") -> SecurityScheme:
    return SecurityScheme(name="key", kind="apiKey", where=where, parameter=parameter)


def _sent(wire: Wire, *schemes: SecurityScheme, token: str | None = None, **args: Any) -> Received:
    parameters = (
        Parameter(name="q", where="query", argument="q", style="form"),
        Parameter(name="X-Key", where="header", argument="header"),
        Parameter(name="sid", where="cookie", argument="sid", style="form"),
        Parameter(name="more", where="query", argument="more", style="form", explode=True),
    )
    prepared = build_request(an_operation(*parameters), args, wire.base)
    return wire.send(add_credentials(prepared, [Credential(scheme, COMPLETE) for scheme in schemes], token))


def test_a_bearer_token_is_sent_as_one(wire: Wire) -> None:
    assert _sent(wire, BEARER).headers["Authorization"] == f"Bearer {SECRET}"


def test_an_access_token_is_sent_as_a_bearer_token(wire: Wire) -> None:
    assert _sent(wire, OAUTH, token="access").headers["Authorization"] == "Bearer access"


def test_an_access_token_that_was_not_fetched_is_told(wire: Wire) -> None:
    with pytest.raises(ToolFailed, match=r"This API has no access token \(oauth\)"):
        _sent(wire, OAUTH)


def test_a_user_name_and_a_password_are_sent_as_rfc_7617_has_them(wire: Wire) -> None:
    kind, _, pair = _sent(wire, BASIC).headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(pair).decode()) == ("Basic", f"dana:{SECRET}")


def test_a_key_in_the_query_is_added_to_what_is_there(wire: Wire) -> None:
    assert _sent(wire, _key("query"), q="a b").query == "q=a%20b&api_key=hunter2-Tk9%2F%2B%3D"
    assert _sent(wire, _key("query")).query == "api_key=hunter2-Tk9%2F%2B%3D"


def test_a_key_in_a_cookie_is_added_to_what_is_there(wire: Wire) -> None:
    assert _sent(wire, _key("cookie"), sid="s").headers["Cookie"] == f"sid=s; api_key={SECRET}"


def test_several_credentials_of_one_alternative_are_all_sent(wire: Wire) -> None:
    received = _sent(wire, BEARER, _key("header", "X-Key"))
    assert (received.headers["Authorization"], received.headers["X-Key"]) == (f"Bearer {SECRET}", SECRET)


def test_no_argument_stands_in_for_a_credential(wire: Wire) -> None:
    assert _sent(wire, _key("header", "x-key"), header="mine").headers.get_all("X-Key") == [SECRET]
    assert _sent(wire, _key("cookie", "sid"), sid="mine").headers["Cookie"] == f"sid={SECRET}"
    query = _sent(wire, _key("query"), more={"api_key": "mine", "b": "1"}).query
    assert query == "b=1&api_key=hunter2-Tk9%2F%2B%3D"
    bracketed = _sent(wire, _key("query", "key[]"), more={"key[]": "mine"}).query
    assert bracketed == "key%5B%5D=hunter2-Tk9%2F%2B%3D"


def test_the_first_alternative_that_has_all_it_needs_is_used() -> None:
    bearer, basic = Credential(BEARER, COMPLETE), Credential(BASIC, COMPLETE)
    security = [{"basic": [], "key": []}, {"bearer": []}, {"basic": []}]
    assert select_credentials(security, {"bearer": bearer, "basic": basic}) == (bearer,)
    assert select_credentials(security, {"basic": basic}) == (basic,)
    key = Credential(_key("query"), COMPLETE)
    assert select_credentials(security, {"basic": basic, "key": key, "bearer": bearer}) == (basic, key)


@pytest.mark.parametrize("security", [[], [{}], [{"bearer": []}, {}]])
def test_where_nobody_need_say_who_calls_nothing_is_needed(security: list[dict[str, list[str]]]) -> None:
    assert select_credentials(security, {}) == ()


def test_credentials_that_nobody_entered_are_named_with_what_to_do() -> None:
    security: list[dict[str, list[str]]] = [{"basic": [], "key": []}, {"bearer": []}]
    with pytest.raises(ToolFailed) as failed:
        select_credentials(security, {"key": Credential(_key("query"), COMPLETE)})
    assert "needs credentials (basic with key or bearer), which are missing" in failed.value.detail
    assert "an admin can add them" in failed.value.detail
    assert "credentials" not in failed.value.message


def test_only_the_scopes_that_an_operation_needs_are_asked_for() -> None:
    oauth = Credential(OAUTH, COMPLETE)
    ((narrow,), (wide,)) = (
        select_credentials([{"oauth": scopes}], {"oauth": oauth}) for scopes in (["read"], [])
    )
    assert (narrow.scheme.scopes, wide.scheme.scopes) == (("read",), ("read", "write"))


@pytest.mark.parametrize(
    ("scheme", "values", "why"),
    [
        (BEARER, {}, "token is missing"),
        (BEARER, {"token": ""}, "token is missing"),
        (BEARER, {"token": f"{SECRET}\r\nX-Evil: 1"}, "control character"),
        (BEARER, {"token": f"{SECRET}é"}, "printable ASCII"),
        (BEARER, {"token": f" {SECRET}"}, "printable ASCII"),
        (_key("cookie"), {"value": f"{SECRET}; admin=1"}, "a cookie can't"),
        (_key("header", "X Y"), {"value": SECRET}, "'X Y' is not a valid header name"),
        (BASIC, {"username": f"{SECRET}:b", "password": ""}, "a user name can't contain a colon"),
        (BASIC, {"username": "dana"}, "password is missing"),
        (BASIC, {"username": "", "password": SECRET}, "username is missing"),
        (OAUTH, {"client_id": "us", "client_secret": f"{SECRET}\n"}, "control character"),
        (SecurityScheme(name="tls", kind="other"), {"value": SECRET}, "not supported"),
    ],
)
def test_a_credential_that_could_not_be_sent_is_refused_and_not_repeated(
    scheme: SecurityScheme, values: dict[str, str], why: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{scheme.name}: .*{why}") as refused:
        Credential(scheme, values)
    assert SECRET not in str(refused.value)


def test_a_password_may_be_empty(wire: Wire) -> None:
    prepared = build_request(an_operation(), {}, wire.base)
    sent = wire.send(add_credentials(prepared, [Credential(BASIC, {"username": SECRET, "password": ""})]))
    assert base64.b64decode(sent.headers["Authorization"].partition(" ")[2]).decode() == f"{SECRET}:"


@pytest.mark.parametrize("scheme", [BEARER, BASIC, OAUTH, _key("query"), _key("header"), _key("cookie")])
def test_no_secret_is_in_a_repr(scheme: SecurityScheme) -> None:
    credential = Credential(scheme, COMPLETE)
    prepared = add_credentials(build_request(an_operation(), {}, "https://api.test"), [credential], SECRET)
    held = prepared.url + str(prepared.headers)
    assert SECRET in held or "Tk9%2F" in held or base64.b64encode(f"dana:{SECRET}".encode()).decode() in held
    shown = repr(credential) + repr([prepared]) + str(prepared)
    assert "Tk9" not in shown
    assert "Basic" not in shown
