"""What an operation may do is judged by its words, and what is unsure is a write with approval."""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_support.connectors.openapi.document.findings import Finding
from smart_support.connectors.openapi.document.operation import Operation
from smart_support.connectors.review.classify import classify

# Each: method and path, operationId, then what it is: R a read, W a write, P a write proposed as a read.
LABELLED = [
    # Plain reads.
    ("GET /orders", "listOrders", "R"),
    ("GET /orders/{id}", "getOrder", "R"),
    ("GET /v1/customers/{customer_id}/addresses", "list-addresses", "R"),
    ("GET /refunds", "listRefunds", "R"),
    ("GET /refunds/{id}", "retrieveRefund", "R"),
    ("GET /transfers", "", "R"),
    ("GET /runs/{id}", "", "R"),
    ("GET /imports", "imports", "R"),
    ("GET /shipments/{id}/track", "trackShipment", "R"),
    ("GET /deleted-items", "deletedItems", "R"),
    ("GET /confirmations", "confirmations", "R"),
    ("GET /subscribers", "subscribers", "R"),
    ("GET /cancellations/{id}", "", "R"),
    ("GET /installments", "installments", "R"),
    ("GET /orders/export", "exportOrders", "R"),
    ("GET /orders/due", "get_orders_to_cancel", "R"),
    ("GET /openapi.json", "", "R"),
    ("GET /users.list", "users_list", "R"),
    ("GET /Accounts/{Sid}/Calls.json", "ListCall", "R"),
    ("GET /search", "search", "R"),
    ("GET /", "", "R"),
    ("HEAD /orders/{id}", "headOrder", "R"),
    ("OPTIONS /orders", "", "R"),
    # A GET that acts.
    ("GET /auth/logout", "", "W"),
    ("GET /auth/out", "logoutUser", "W"),
    ("GET /auth/out", "AuthController_logout", "W"),
    ("GET /logout.json", "", "W"),
    ("GET /v2/logout/2", "", "W"),
    ("GET /invoices/{id}/send", "", "W"),
    ("GET /invoices/{id}", "sendInvoice", "W"),
    ("GET /jobs/{id}/run", "", "W"),
    ("GET /v1/jobs/{id}:run", "jobs.run", "W"),
    ("GET /users/verify/{token}", "", "W"),
    ("GET /users/x", "verify_email", "W"),
    ("GET /doors/{id}/open", "", "W"),
    ("GET /orders/export-email", "", "W"),
    ("GET /orders/export", "exportOrdersByMail", "W"),
    ("GET /orders/{id}/cancel", "getOrdersIdCancel", "W"),
    ("GET /orders/{id}", "order_cancel", "W"),
    ("GET /deleteuser", "", "W"),
    ("GET /auth.revoke", "", "W"),
    ("GET /#Action=DeleteQueue", "GET_DeleteQueue", "W"),
    ("GET /", "GET_DeleteQueue", "W"),
    ("GET /index.php?action=purge", "", "W"),
    ("GET /reports/{id}/GenerateNow", "", "W"),
    ("GET /newsletter/unsubscribe", "", "W"),
    ("GET /payments/{id}/refund", "", "W"),
    ("GET /out", "logout_out_get", "W"),
    # PUT, PATCH and DELETE, whatever they are called.
    ("PUT /orders/{id}", "replaceOrder", "W"),
    ("PUT /search", "search", "W"),
    ("PATCH /orders/{id}", "getOrder", "W"),
    ("DELETE /orders/{id}", "listOrders", "W"),
    ("QUERY /orders", "searchOrders", "W"),
    # A POST with strong signs is proposed as a read.
    ("POST /orders/search", "", "P"),
    ("POST /search", "", "P"),
    ("POST /v1/search/users", "post_v1_search_users", "P"),
    ("POST /orders/query", "searchOrders", "P"),
    ("POST /orders/query", "search-orders", "P"),
    ("POST /orders/query", "orders/search", "P"),
    ("POST /orders/query", "Orders_Search", "P"),
    ("POST /users.list", "", "P"),
    ("POST /orders/list", "", "P"),
    ("POST /addresses/lookup", "", "P"),
    ("POST /addresses", "lookupAddress", "P"),
    ("POST /shipping/estimate", "", "P"),
    ("POST /shipping", "estimateCosts", "P"),
    ("POST /orders/preview", "previewOrder", "P"),
    ("POST /getUserById", "", "P"),
    ("POST /orders/by-ids", "getOrders", "P"),
    ("POST /refunds/search", "", "P"),
    ("POST /products/search.json", "", "P"),
    # A POST without them, or with a word that changes beside them, is not.
    ("POST /orders", "createOrder", "W"),
    ("POST /orders/{id}", "", "W"),
    ("POST /lists", "", "W"),
    ("POST /estimates", "", "W"),
    ("POST /saved-searches", "", "W"),
    ("POST /searches", "createSearch", "W"),
    ("POST /list/{list_id}", "", "W"),
    ("POST /list/{list_id}/members", "", "W"),
    ("POST /mailing-list", "", "W"),
    ("POST /users/{id}/wishlist", "", "W"),
    ("POST /pets/findByStatus", "PostPetsFindByStatus", "P"),
    ("POST /users/directory", "post_users_directory", "W"),
    ("POST /searches/save", "searchAndSave", "W"),
    ("POST /orders/search", "saveSearch", "W"),
    ("POST /orders/list", "updateOrderList", "W"),
    ("POST /tokens/list", "", "W"),
    ("POST /token", "getToken", "W"),
    ("POST /sessions/search", "", "W"),
    ("POST /billing", "getSession", "W"),
    ("POST /links/preview", "", "W"),
    ("POST /upgrade", "getUpgradeLink", "W"),
    ("POST /keys/list", "", "W"),
    ("POST /jobs/search", "", "W"),
    ("POST /webhooks/preview", "", "W"),
    ("POST /payments/estimate", "", "W"),
    ("POST /messages/search", "", "W"),
    ("POST /search/graphql", "", "W"),
    ("POST /orders/simulate", "previewSimulate", "W"),
    ("POST /currencies/convert", "getConverted", "W"),
    ("POST /steps/skip", "getNextAndSkip", "W"),
    ("POST /search/index", "", "W"),
    ("POST /email/preview", "", "W"),
    ("POST /orders/preview/send", "", "W"),
    ("POST /chat.postMessage", "", "W"),
    ("POST /runSearch", "runSearch", "W"),
    ("POST /orders/search/run", "", "W"),
    ("POST /list/{id}", "list_list_id_post", "W"),
    ("POST /list/{id}", "Post_ListById", "W"),
    ("POST /items", "list_items_items_post", "P"),
]

# Each: method and path, then its risks and how grave they are.
RISKS = [
    ("GET /orders", "", "low"),
    ("GET /invoices/{id}", "", "low"),
    ("HEAD /cancellations", "", "low"),
    ("PUT /orders/{id}", "", "medium"),
    ("POST /posts", "", "medium"),
    ("POST /news/monkeys", "", "medium"),
    ("POST /orders/search", "", "medium"),
    ("DELETE /orders/{id}", "destructive", "high"),
    ("POST /orders/{id}/delete", "destructive", "high"),
    ("POST /cache/purge", "destructive", "high"),
    ("POST /contracts/{id}/terminate", "destructive", "high"),
    ("PATCH /accounts/{id}/close", "destructive", "high"),
    ("POST /orders/{id}/cancellations", "destructive", "high"),
    ("GET /orders/{id}/cancel", "destructive", "high"),
    ("POST /orders/{id}/refunds", "money", "high"),
    ("POST /payments", "money", "high"),
    ("POST /charges", "money", "high"),
    ("POST /transfers", "money", "high"),
    ("PUT /invoices/{id}", "money", "high"),
    ("POST /invoices/{id}/send", "money messages", "high"),
    ("DELETE /refunds/{id}", "destructive money", "high"),
    ("POST /emails", "messages", "medium"),
    ("POST /users/{id}/notify", "messages", "medium"),
    ("POST /invites", "messages", "medium"),
    ("PUT /webhooks/{id}", "messages", "medium"),
    ("GET /tokens", "credentials", "high"),
    ("GET /oauth2/clients", "credentials", "high"),
    ("GET /api-keys/{id}", "credentials", "high"),
    ("GET /secrets", "credentials", "high"),
    ("PUT /users/{id}/password", "credentials", "high"),
    ("PUT /users/{id}/changepassword", "credentials", "high"),
    ("HEAD /sessions/{id}", "credentials", "high"),
    ("DELETE /tokens/{id}", "destructive credentials", "high"),
]

WORDS = st.sampled_from(
    [
        "orders", "search", "get", "list", "create", "logout", "send", "v1", "api", "{id}", "{customerId}",
        "token", "refund", "batch", "mailing-list", "findByStatus", "x:cancel", "é", "\x00", ".json",
        "users.list", "bulkDelete", "post",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=12), st.lists(WORDS, max_size=4).map("_".join))
OPERATIONS = st.builds(
    Operation,
    key=st.just("key"),
    method=st.sampled_from(
        ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE", "post", "\x07"]
    ),
    path=st.one_of(
        st.lists(WORDS, max_size=5).map(lambda parts: "/" + "/".join(parts)), st.text(max_size=20)
    ),
    tool_name=st.just("tool"),
    summary=TEXTS,
    operation_id=TEXTS,
    tags=st.lists(TEXTS, max_size=2).map(tuple),
    deprecated=st.booleans(),
    schema=st.fixed_dictionaries(
        {"properties": st.dictionaries(st.one_of(st.just("customer_id"), TEXTS), st.just({}), max_size=4)}
    ),
)
ARGUMENTS = ["user_id", "id", "customerId", "email", "status", "account_id", "owner"]


def _operation(
    key: str, operation_id: str = "", *, tags: tuple[str, ...] = (), summary: str = "Says what it does."
) -> Operation:
    method, _, path = key.partition(" ")
    return Operation(
        key=key,
        method=method,
        path=path,
        tool_name="tool",
        operation_id=operation_id,
        tags=tags,
        summary=summary,
    )


def _taking(*arguments: str) -> Operation:
    return replace(_operation("GET /orders"), schema={"properties": {name: {} for name in arguments}})


@pytest.mark.parametrize(("key", "operation_id", "label"), LABELLED)
def test_an_operation_is_judged_as_a_person_labelled_it(key: str, operation_id: str, label: str) -> None:
    proposal = classify(_operation(key, operation_id))

    assert (proposal.access, proposal.read_proposed) == {
        "R": ("read", False),
        "W": ("write", False),
        "P": ("write", True),
    }[label]
    assert proposal.needs_approval == (label != "R")


def _from_file() -> list[list[str]]:
    """Operations in the words of this project, of the kinds that real descriptions have."""
    lines = Path(__file__).with_name("labelled_operations.tsv").read_text().splitlines()
    return [(line.split("\t") + [""] * 4)[:5] for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("label", "key", "operation_id", "summary", "description"), _from_file())
def test_the_words_of_an_operation_say_whether_it_acts(
    label: str, key: str, operation_id: str, summary: str, description: str
) -> None:
    operation = replace(_operation(key, operation_id, summary=summary), description=description)

    proposal = classify(operation)

    judged = "R" if proposal.access == "read" else "P" if proposal.read_proposed else "W"
    assert judged == label, proposal.reasons


@pytest.mark.parametrize(("key", "risks", "risk"), RISKS)
def test_the_risks_of_an_operation_are_named_and_weighed(key: str, risks: str, risk: str) -> None:
    proposal = classify(_operation(key))

    assert (" ".join(proposal.risks), proposal.risk) == (risks, risk)
    for kind in risks.split():
        assert any(reason.startswith(kind.capitalize()) for reason in proposal.reasons)


@pytest.mark.parametrize(
    "summary", ["Creates a saved search", "Cancel it", "Search, then update what is found"]
)
def test_a_summary_speaks_against_a_read(summary: str) -> None:
    assert not classify(_operation("POST /orders/search", summary=summary)).read_proposed


def test_a_summary_never_makes_a_read() -> None:
    proposal = classify(_operation("POST /orders/table", summary="Search orders; changes nothing"))

    assert not proposal.read_proposed


def test_an_operation_id_made_from_method_and_path_carries_no_evidence() -> None:
    made = classify(_operation("POST /list/{id}", "list_list_id_post"))
    chosen = classify(_operation("POST /list/{id}", "listThings"))

    assert (made.read_proposed, chosen.read_proposed) == (False, True)


@pytest.mark.parametrize(
    "key",
    [
        "GET /orders", "GET /refunds/{id}", "POST /orders", "POST /orders/batch", "PATCH /orders/{id}",
        "POST /orders/{id}/refunds", "DELETE /orders/{id}", "DELETE /orders/{id}.json",
        "DELETE /orders({id})",
    ],
)  # fmt: skip
def test_what_is_documented_and_acts_on_one_thing_is_on(key: str) -> None:
    proposal = classify(_operation(key))

    assert proposal.enabled
    assert not any(reason.startswith("Disabled") for reason in proposal.reasons)


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (replace(_operation("GET /orders"), deprecated=True), "deprecated"),
        (_operation("GET /tokens"), "credentials"),
        (_operation("POST /passwords"), "credentials"),
        (_operation("DELETE /orders"), "several items"),
        (_operation("DELETE /users/{id}/addresses/"), "several items"),
        (_operation("DELETE /orders/batch/{id}"), "several items"),
        (_operation("DELETE /orders/{id}", "deleteAllOrders"), "several items"),
        (_operation("POST /orders/bulk-delete"), "several items"),
        (_operation("POST /orders", "batchRemoveOrders"), "several items"),
        (_operation("POST /orders", summary=""), "without a description"),
        (_operation("POST /orders", summary=" \n"), "without a description"),
        (_operation("GET /orders/{id}/cancel", summary=""), "without a description"),
    ],
)
def test_what_a_reviewer_should_look_at_first_is_off_and_says_why(operation: Operation, why: str) -> None:
    proposal = classify(operation)

    assert not proposal.enabled
    assert [why in reason for reason in proposal.reasons if reason.startswith("Disabled")] == [True]


def test_an_operation_with_an_error_is_off_and_one_with_a_warning_is_on() -> None:
    def found(severity: str) -> Operation:
        finding = Finding(severity=severity, place="/paths", message="x")  # type: ignore[arg-type]
        return replace(_operation("GET /orders"), findings=(finding,))

    assert [classify(found(severity)).enabled for severity in ("error", "warning")] == [False, True]


def test_a_read_needs_no_description_and_a_write_is_on_with_either_text() -> None:
    bare = _operation("POST /orders", summary="")

    assert classify(_operation("GET /orders", summary="")).enabled
    assert classify(replace(bare, description="Places an order.")).enabled


@pytest.mark.parametrize(
    ("tags", "path", "agent"),
    [
        (("Pet Store", "x"), "/y", "pet_store"),
        (("UserAccounts",), "/y", "user_accounts"),
        (("Überweisung",), "/y", "uberweisung"),
        (("2fa",), "/y", "g_2fa"),
        (("日本",), "/orders", "orders"),
        (("",), "/orders", "orders"),
        (("a" * 90,), "/y", "a" * 63),
        ((), "/api/v1/orders/{id}", "orders"),
        ((), "/{tenant}/v2.0-beta/gift-cards", "gift_cards"),
        ((), "/2012-10-01/API/queues", "queues"),
        ((), "/admin/api/2026-01/orders/{id}.json", "orders"),
        ((), "/chat.postMessage", "chat"),
        ((), "/api/v3/{id}", "api"),
        ((), "/", "api"),
    ],
)
def test_an_agent_is_named_by_the_first_tag_or_else_by_the_path(
    tags: tuple[str, ...], path: str, agent: str
) -> None:
    assert classify(_operation(f"GET {path}", tags=tags)).agent == agent


@pytest.mark.parametrize(
    "argument",
    [
        "customer_id", "customerId", "customer", "CustomerID", "customerid", "customer-id", "customer_ids",
        "customer_email", "X-Customer-Id", "filter_customer_id_eq", "customer_id_query", "body_email",
        "user_id", "userId", "username", "account_id", "accountNumber", "member_id", "email", "e-mail",
        "emailAddress", "phone",
    ],
)  # fmt: skip
def test_an_argument_names_the_customer(argument: str) -> None:
    assert classify(_taking(argument, "status")).customer_arguments == (argument,)


@pytest.mark.parametrize(
    "argument",
    [
        "owner", "owner_id", "client_id", "clientId", "client", "id", "user_agent", "account_type",
        "account_sid", "guests", "passengers", "email_template", "customer_segment", "order_id", "tenant_id",
        "mailbox", "email\x00",
    ],
)  # fmt: skip
def test_a_false_friend_names_no_customer(argument: str) -> None:
    assert classify(_taking(argument)).customer_arguments == ()


def test_the_argument_that_says_customer_comes_first() -> None:
    assert classify(_taking("email", "account_id", "customerId")).customer_arguments == (
        "customerId",
        "account_id",
        "email",
    )


@given(st.permutations(ARGUMENTS))
def test_the_order_of_arguments_changes_nothing(arguments: list[str]) -> None:
    assert classify(_taking(*arguments)) == classify(_taking(*ARGUMENTS))


@given(OPERATIONS)
def test_every_method_that_may_write_is_a_write(operation: Operation) -> None:
    proposal = classify(operation)

    if operation.method not in ("GET", "HEAD", "OPTIONS", "TRACE"):
        assert proposal.access == "write"
    assert proposal.needs_approval == (proposal.access == "write")
    assert not proposal.read_proposed or operation.method.upper() == "POST"


@given(OPERATIONS)
def test_every_judgement_can_be_shown(operation: Operation) -> None:
    proposal = classify(operation)

    assert proposal.reasons
    assert all(proposal.reasons)
    shown = "".join((*proposal.reasons, *proposal.customer_arguments))
    assert not [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf", "Cs")]
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,62}", proposal.agent)
    assert proposal.enabled == (not any(reason.startswith("Disabled") for reason in proposal.reasons))
    assert (proposal.risk == "low") <= (proposal.access == "read")
