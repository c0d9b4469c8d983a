"""Where the calls of an import go: as was decided, as its description says, or nowhere so far."""

from typing import Any

import pytest

from smart_support.connectors.openapi.document.document import Document
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.server import Server
from smart_support.connectors.review.base_urls import (
    api_name,
    base_url,
    base_url_findings,
    inherited_base_url,
    is_same_api,
    origin,
)
from smart_support.connectors.review.import_store import ImportJob
from smart_support.errors import InvalidRequest

FILE = "desk.yaml"
SOURCE = "https://desk.example/docs/openapi.json"


def _job(source: str = FILE, **more: Any) -> ImportJob:
    given: dict[str, Any] = {
        **{"job_id": "1", "kind": "openapi", "source": source, "api": "desk", "title": "Desk"},
        **{
            "status": "review",
            "progress": {},
            "error": None,
            "base_url": None,
            "variables": {},
            "allowed_hosts": {},
        },
        **{"created_by": "dana", "created_at": "", "approved_by": None, "approved_at": None},
    }
    return ImportJob(**given | more)


def _document(*urls: str, **variables: Any) -> Document:
    servers = tuple(Server(url=url, variables=variables) for url in urls)
    return Document(title="Desk", version="1", format="openapi-3.1", servers=servers or (Server(url="/"),))


def _operation(*urls: str) -> Operation:
    servers = tuple(Server(url=url) for url in urls)
    return Operation(key="GET /a", method="GET", path="/a", tool_name="a", servers=servers)


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        (None, (), "https://a.example/v1"),
        (None, ("https://b.example",), "https://b.example"),
        (None, ("https://a.example/v2",), "https://a.example/v2"),
        ("https://sandbox.example", (), "https://sandbox.example"),
        ("https://sandbox.example", ("https://a.example/v2",), "https://sandbox.example"),
        ("https://sandbox.example", ("https://b.example",), "https://b.example"),
    ],
)
def test_an_entered_base_url_counts_for_all_on_the_apis_own_host(
    base: str | None, own: tuple[str, ...], expected: str
) -> None:
    assert base_url(_job(base_url=base), _document("https://a.example/v1"), _operation(*own)) == expected


def test_a_declared_server_that_is_chosen_keeps_its_variables() -> None:
    document = _document("https://a.example", "https://{shop}.example", shop={"default": "my"})
    assert base_url(_job(base_url="https://{shop}.example"), document) == "https://my.example"
    chosen = _job(base_url="https://{shop}.example", variables={"shop": "other"})
    assert base_url(chosen, document) == "https://other.example"


def test_a_relative_server_is_where_the_description_is_and_of_a_file_nowhere() -> None:
    assert base_url(_job(SOURCE), _document("/v1")) == "https://desk.example/v1"
    assert base_url(_job(SOURCE), _document()) == "https://desk.example"
    for document in (_document(), _document("/v1")):
        with pytest.raises(InvalidRequest, match="base URL"):
            base_url(_job(), document)


@pytest.mark.parametrize(
    ("source", "live_source", "where", "live_where", "same"),
    [
        (FILE, FILE, "https://a.example/v2", "https://a.example/v1", True),
        (FILE, FILE, "https://b.example", "https://a.example", False),
        (SOURCE, SOURCE, "https://b.example", "https://a.example", True),
        (FILE, SOURCE, "https://a.example", "https://a.example", True),
        (FILE, FILE, "", "https://a.example", True),
    ],
)
def test_an_import_is_of_the_api_that_came_from_there_or_is_called_there(
    source: str, live_source: str, where: str, live_where: str, same: bool
) -> None:
    document = _document(*filter(None, [where]))
    assert is_same_api(_job(source), document, _job(live_source), _document(live_where)) is same


def test_an_mcp_server_is_only_itself() -> None:
    live, document = _job("https://a.example/mcp", kind="mcp"), _document()
    assert is_same_api(_job("https://a.example/mcp", kind="mcp"), document, live, document)
    assert not is_same_api(_job("https://b.example/mcp", kind="mcp"), document, live, document)
    assert not is_same_api(_job("https://a.example/mcp"), document, live, document)
    assert origin(live, document) == "https://a.example/mcp"


def test_a_server_that_has_moved_is_kept_where_it_was_and_told() -> None:
    before, after = _document("https://a.example/v1"), _document("https://a.example/v2")
    assert inherited_base_url(_job(), before, _job(), before) is None
    kept = inherited_base_url(_job(), after, _job(), before)
    assert kept == "https://a.example/v1"
    (told,) = base_url_findings(_job(base_url=kept), after)
    assert (told.severity, "names https://a.example/v2" in told.message) == ("warning", True)
    assert base_url_findings(_job(), after) == []
    entered = _job(base_url="https://c.example")
    assert inherited_base_url(_job(), after, entered, before) == "https://c.example"


def test_an_api_is_called_by_its_title() -> None:
    assert [api_name("Ticket Desk!"), api_name("Ticket Desk!", 2)] == ["ticket_desk", "ticket_desk_2"]
    assert [api_name("4711"), api_name("")] == ["api_4711", "api"]


def test_an_error_in_an_operations_own_server_names_the_operation() -> None:
    with pytest.raises(InvalidRequest, match=r"GET /a has its own server\. The server's URL '/internal'"):
        base_url(_job(), _document("https://a.example"), _operation("/internal"))
