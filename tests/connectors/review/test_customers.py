"""Whose things an operation touches: proposed by the rules, confirmed by a reviewer, found by the tool."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from smart_support.connectors.review.customers import customer_in
from smart_support.errors import InvalidRequest, ToolUnavailable
from smart_support.outbound.client import Fetched
from tests.support.import_service import Reviews, document, operation, reviews

OWN = "https://api.example"
ORDER = {"type": "object", "properties": {"id": {"type": "string"}, "customer_id": {"type": "string"}}}


class Shop:
    """Answers every request with an order of customer 7."""

    def __init__(self) -> None:
        self.is_away = False

    async def request(self, method: str, url: str, **sent: Any) -> Fetched:
        """As `GuardedClient.request`."""
        if self.is_away:
            raise ToolUnavailable("away")
        return Fetched(200, httpx.Headers(), orjson.dumps({"id": "A1", "customer_id": 7}), url)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Reviews]:
    async with reviews(tmp_path, client=Shop()) as running:
        yield running


def _argument(name: str, where: str = "path") -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}


def _answer(schema: Any) -> dict[str, Any]:
    return {"responses": {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}}


def _shop() -> dict[str, Any]:
    order = {"parameters": [_argument("order_id")]}
    paths = {
        "/customers/{customer_id}": {
            "get": operation("getCustomer", parameters=[_argument("customer_id")]),
        },
        "/orders/{order_id}": {
            "get": operation("getOrder", **order, **_answer({"$ref": "#/components/schemas/Order"}))
        },
        "/orders/{order_id}/refunds": {"post": operation("refundOrder", **order)},
        "/opening-hours": {"get": operation("getHours")},
        "/orders": {"get": operation("listOrders")},
    }
    return document("Shop", OWN, paths, components={"schemas": {"Order": {"allOf": [ORDER]}}})


async def _rules(desk: Reviews, job_id: str) -> dict[str, Any]:
    operations = await desk.service.store.operations(job_id)
    return {key: one.customer and one.customer.as_json() for key, one in operations.items()}


LOOKUP = {
    "source": "lookup",
    "operation": "get_order",
    "arguments": {"order_id": "order_id"},
    "result": "/customer_id",
}


async def test_the_rules_propose_an_argument_a_lookup_or_nobody(desk: Reviews) -> None:
    job = await desk.imported(_shop())
    assert await _rules(desk, job.job_id) == {
        "get_customer": {"source": "argument", "argument": "customer_id", "confirmed": False},
        "get_order": LOOKUP | {"confirmed": False},
        "refund_order": LOOKUP | {"confirmed": False},
        "get_hours": {"source": "none", "confirmed": False},
        "list_orders": None,
    }


async def test_only_what_is_confirmed_counts_for_a_tool(desk: Reviews) -> None:
    job = await desk.imported(_shop())
    await desk.service.approve(job.job_id, by="dana")
    assert {tool.customer_source for tool in desk.tools.values()} == {"unknown"}
    keys = ["get_customer", "refund_order", "get_hours"]
    await desk.service.edit(job.job_id, keys, {"customer": {"source": "proposed"}}, by="dana")
    sources = {name: tool.customer_source for name, tool in desk.tools.items()}
    assert sources == {
        "get_customer": "argument",
        "refund_order": "lookup",
        "get_hours": "none",
        "get_order": "unknown",
        "list_orders": "unknown",
    }
    refund, named = desk.tools["refund_order"].customer, desk.tools["get_customer"].customer
    assert refund is not None
    assert named is not None
    assert await named({"customer_id": "8"}) == "8"
    assert await refund({"order_id": "A1"}) == "7"
    desk.client.is_away = True
    assert await refund({"order_id": "A1"}) is None
    assert desk.tools["get_hours"].customer is None


async def test_a_reviewer_chooses_another_rule_or_withdraws_one(desk: Reviews) -> None:
    job = await desk.imported(_shop())
    await desk.service.edit(job.job_id, ["list_orders"], {"customer": {"source": "none"}}, by="dana")
    await desk.service.edit(job.job_id, ["get_hours"], {"customer": {"source": "unknown"}}, by="dana")
    rules = await _rules(desk, job.job_id)
    assert (rules["list_orders"], rules["get_hours"]) == ({"source": "none", "confirmed": True}, None)
    for given in (
        {"source": "argument", "argument": "nothing"},
        {"source": "lookup", "operation": "get_order"},
        {"source": "proposed"},
    ):
        with pytest.raises(InvalidRequest, match="GET /opening-hours"):
            await desk.service.edit(job.job_id, ["get_hours"], {"customer": given}, by="dana")


async def test_a_re_import_keeps_a_confirmation_until_the_operation_changes(desk: Reviews) -> None:
    spec = _shop()
    job = await desk.imported(spec)
    keys = ["get_customer", "refund_order"]
    await desk.service.edit(job.job_id, keys, {"customer": {"source": "proposed"}}, by="dana")
    await desk.service.approve(job.job_id, by="dana")
    spec["paths"]["/customers/{customer_id}"]["get"]["parameters"].append(_argument("fields", "query"))
    rules = await _rules(desk, (await desk.imported(spec)).job_id)
    assert (rules["get_customer"]["confirmed"], rules["refund_order"]["confirmed"]) == (False, True)


@pytest.mark.parametrize(
    ("result", "place", "expected"),
    [
        ({"customer": {"id": 7}}, "/customer/id", "7"),
        ({"a/b": "x"}, "/a~1b", "x"),
        ({"customer_id": None}, "/customer_id", None),
        ({"customer_id": True}, "/customer_id", None),
        ("text", "/customer_id", None),
    ],
)
def test_the_customer_is_read_at_its_place(result: Any, place: str, expected: str | None) -> None:
    assert customer_in(result, place) == expected
