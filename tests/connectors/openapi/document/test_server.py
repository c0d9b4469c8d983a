"""An API's base address: variables, relative addresses, and what is refused."""

import pytest

from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.openapi.request.server_url import server_url
from smart_support.errors import InvalidRequest

REGIONS = {"region": {"default": "eu", "enum": ["eu", "us"]}, "version": {"default": "v1"}}
VARIED = Server(url="https://{region}.api.test/{version}", variables=REGIONS)
DOCUMENT = "https://docs.test/specs/v3/openapi.json?raw=1"


@pytest.mark.parametrize(
    ("server", "variables", "address"),
    [
        (VARIED, {}, "https://eu.api.test/v1"),
        (VARIED, {"region": "us", "version": "v 2".replace(" ", "-")}, "https://us.api.test/v-2"),
        (VARIED, {"version": "ü"}, "https://eu.api.test/%C3%BC"),
        (VARIED, {"version": ""}, "https://eu.api.test"),
        (Server(url="https://api.test:8443/"), {"unused": "/"}, "https://api.test:8443"),
        (Server(url="{whole}", variables={"whole": {"default": "http://a.test/b"}}), {}, "http://a.test/b"),
        (
            Server(url="https://a.test:{port}", variables={"port": {"default": 8443}}),
            {},
            "https://a.test:8443",
        ),
        (Server(url="https://[::1]:80/x"), {}, "https://[::1]:80/x"),
        (Server(url="https://a.test/{undeclared}"), {"undeclared": "x"}, "https://a.test/x"),
    ],
)
def test_variables_have_their_default_unless_one_is_given(
    server: Server, variables: dict[str, str], address: str
) -> None:
    assert server_url(server, variables) == address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("", "https://docs.test"),
        ("/", "https://docs.test"),
        ("/api", "https://docs.test/api"),
        ("../v4", "https://docs.test/specs/v4"),
        ("//other.test/x", "https://other.test/x"),
        ("http://other.test/x/", "http://other.test/x"),
    ],
)
def test_a_relative_address_is_joined_with_the_documents(url: str, address: str) -> None:
    assert server_url(Server(url=url), {}, document_url=DOCUMENT) == address


@pytest.mark.parametrize("value", ["a/b", "a?b", "a#b", "a@b", "a\\b", "a\nb", "a b", "\x7f", "../x"])
def test_a_value_that_is_entered_can_not_change_the_rest_of_the_address(value: str) -> None:
    server = Server(url="https://{tenant}.api.test", variables={"tenant": {"default": "demo"}})
    with pytest.raises(InvalidRequest, match="variable tenant can't be"):
        server_url(server, {"tenant": value})


def test_a_value_outside_the_choices_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidRequest, match="region can't be 'mars'; choose one of: eu, us"):
        server_url(VARIED, {"region": "mars"})


def test_a_variable_without_a_value_is_asked_for() -> None:
    with pytest.raises(InvalidRequest, match="variable tenant has no value; enter one"):
        server_url(Server(url="https://{tenant}.api.test"), {})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("/api", "enter the API's base URL"),
        ("ftp://a.test", "enter the API's base URL"),
        ("file:///etc/passwd", "enter the API's base URL"),
        ("javascript:alert(1)", "enter the API's base URL"),
        ("https://", "enter the API's base URL"),
        ("https://a%2fb.test", "enter the API's base URL"),
        ("https://a.test/x?y=1", r"contains \? or #"),
        ("https://a.test/x#y", r"contains \? or #"),
        ("https://a.test/x?", r"contains \? or #"),
        ("https://a.test/x/../y", r"\. or \.\."),
        ("https://a.test/x/%2e%2E/y", r"\. or \.\."),
        ("https://a.test:99999", "host or port"),
        ("https://[::1", "host or port"),
        ("https://a.test\\@b.test", "backslash"),
        ("https://a.te\nst", "control character"),
    ],
)
def test_an_address_that_no_path_can_follow_is_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        server_url(Server(url=url), {})


def test_a_document_that_was_read_from_a_file_gives_no_address() -> None:
    with pytest.raises(InvalidRequest, match="enter the API's base URL"):
        server_url(Server(url="/api"), {}, document_url="file:///specs/api.json")


@pytest.mark.parametrize("document_url", [None, "https://admin:hunter2@docs.test/api.json"])
def test_a_password_in_an_address_is_refused_and_not_repeated(document_url: str | None) -> None:
    url = "/api" if document_url else "https://admin:hunter2@a.test"
    with pytest.raises(InvalidRequest, match="user name") as refused:
        server_url(Server(url=url), {}, document_url=document_url)
    assert "hunter2" not in str(refused.value)
