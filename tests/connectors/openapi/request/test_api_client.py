"""Calls of an API that asks for OAuth2: tokens fetched, tokens called back too early, a login that fails."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.openapi.document.parse import parse
from smart_support.connectors.openapi.request.api_client import Api, ApiClient
from smart_support.connectors.review.vault import Vault
from smart_support.errors import SmartSupportError, ToolFailed
from smart_support.outbound.client import GuardedClient
from smart_support.storage.state.sqlite import SqliteStateDatabase
from tests.support.harness import free_port
from tests.support.shop_api import ShopApi, description, shop_api

SECRET = "client-secret-4711"


@pytest.fixture
def api() -> Iterator[ShopApi]:
    with shop_api() as running:
        running.says["POST", "/token"] = [{"access_token": name, "token_type": "bearer"} for name in "abc"]
        yield running


@pytest.fixture
async def desk(api: ShopApi, tmp_path: Path) -> AsyncIterator[tuple[ApiClient, Api, Operation]]:
    """What calls the API, where it is, and its write."""
    document = description(api.url)
    flow = {"clientCredentials": {"tokenUrl": f"{api.url}/token", "scopes": {}}}
    document["components"]["securitySchemes"]["key"] = {"type": "oauth2", "flows": flow}
    parsed = parse(document)
    state, client = SqliteStateDatabase(tmp_path / "state.sqlite"), GuardedClient(["127.0.0.1"])
    vault = Vault(state, tmp_path / "secret.key")
    await vault.store("desk", parsed.schemes["key"], {"client_id": "desk", "client_secret": SECRET}, "home")
    operation = next(one for one in parsed.operations if one.operation_id == "createTicket")
    yield ApiClient(client, vault, 10), Api("Ticket Desk", api.url, parsed.schemes, "desk", "home"), operation
    await client.aclose()
    state.close()


async def test_a_token_is_fetched_once_and_sent_with_each_call(
    api: ShopApi, desk: tuple[ApiClient, Api, Operation]
) -> None:
    caller, where, operation = desk
    for _ in range(2):
        await caller.call(where, operation, {"subject": "Leak"}, "k1")
    assert [sent["authorization"] for sent in api.calls("POST", "/tickets")] == ["Bearer a", "Bearer a"]
    assert len(api.calls("POST", "/token")) == 1


async def test_a_token_that_was_called_back_is_renewed_and_the_call_sent_again(
    api: ShopApi, desk: tuple[ApiClient, Api, Operation]
) -> None:
    caller, where, operation = desk
    api.answers["POST", "/tickets"] = [401, 200]
    await caller.call(where, operation, {"subject": "Leak"}, "k1")
    sent = api.calls("POST", "/tickets")
    assert [one["authorization"] for one in sent] == ["Bearer a", "Bearer b"]
    assert {one["idempotency-key"] for one in sent} == {"k1"}


async def test_an_error_of_a_refused_login_names_no_secret(
    api: ShopApi, desk: tuple[ApiClient, Api, Operation]
) -> None:
    caller, where, operation = desk
    api.answers["POST", "/tickets"] = [401]
    with pytest.raises(ToolFailed) as told:
        await caller.call(where, operation, {"subject": "Leak"}, "k1")
    assert len(api.calls("POST", "/tickets")) == 2
    assert "Ticket Desk did not accept our credentials" in told.value.detail
    assert "credentials" not in told.value.message
    assert SECRET not in told.value.message + told.value.detail


@pytest.mark.parametrize(("how", "certain"), [("dropped", False), ("huge", False), ("gone", True)])
async def test_an_error_says_whether_the_call_may_have_had_its_effect(
    api: ShopApi, desk: tuple[ApiClient, Api, Operation], how: str, certain: bool
) -> None:
    caller, where, operation = desk
    await caller.call(where, operation, {"subject": "Leak"}, "k1")
    if how == "gone":
        where = replace(where, base=f"http://127.0.0.1:{free_port()}")
    api.answers["POST", "/tickets"] = [how]
    with pytest.raises(SmartSupportError) as told:
        await caller.call(where, operation, {"subject": "Leak"}, "k2")
    assert told.value.nothing_done is certain
