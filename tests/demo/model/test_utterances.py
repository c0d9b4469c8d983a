"""The embedded model does what customers say, and proposes no write that they refuse.

`python -m tests.demo.model.test_utterances` prints the score through the whole application.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from smart_support import clock
from tests.demo.model.second_utterances import SECOND_REFUSALS, SECOND_UTTERANCES
from tests.demo.model.third_utterances import THIRD_REFUSALS, THIRD_UTTERANCES
from tests.demo.model.utterances import BANK, BESIDE, REFUSALS, SAAS, SHOP, UTTERANCES, Case, failures
from tests.support.demo_conversations import Conversation, business, imported_tools
from tests.support.harness import AppProcess
from tests.support.import_jobs import loaded
from tests.support.shop_api import shop_api

ALL_UTTERANCES = (*UTTERANCES, *SECOND_UTTERANCES, *THIRD_UTTERANCES)
ALL_REFUSALS = (*REFUSALS, *SECOND_REFUSALS, *THIRD_REFUSALS)


def _number(name: str, type_: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": type_}}


def _path(name: str, type_: str, **methods: tuple[str, str]) -> dict[str, Any]:
    operations = {method: {"operationId": id_, "summary": words} for method, (id_, words) in methods.items()}
    return {"parameters": [_number(name, type_)], **operations}


# What a company may have beside its shop: a help desk, and paths that sound like the shop's own tools.
_PATHS: dict[str, Any] = {
    "/purchases/{order_id}": _path(
        "order_id",
        "integer",
        get=("getPurchaseById", "Find purchase order by ID"),
        delete=("deletePurchase", "Delete purchase order by ID"),
    ),
    "/stores/{store_id}/opening-hours": _path(
        "store_id", "integer", get=("getOpeningHours", "When a store is open")
    ),
    "/members/{member_id}/points": _path(
        "member_id", "string", get=("getPoints", "The loyalty points of a member")
    )
    | {
        "post": {
            "operationId": "addPoints",
            "summary": "Add loyalty points to a member",
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["points"],
                            "properties": {"points": {"type": "integer"}},
                        }
                    }
                },
            },
        }
    },
}


@contextmanager
def _apps(folder: Path) -> Iterator[dict[str, AppProcess]]:
    """The three businesses, and the shop beside an imported API."""
    with ExitStack() as stack:
        api = stack.enter_context(shop_api())
        api.more = _PATHS
        apps = {
            where: stack.enter_context(
                AppProcess(
                    folder / f"app{number}",
                    TEMPLATE="e-commerce" if where == BESIDE else where,
                    ALLOWED_HOSTS="127.0.0.1",
                )
            )
            for number, where in enumerate((SHOP, BESIDE, SAAS, BANK))
        }
        app = apps[BESIDE]
        job = app.post("/openapi/import", {"url": f"{api.url}/openapi.json"}).json()["data"]
        secret = {"scheme": "key", "values": {"value": "secret-4714"}}
        path = f"/openapi/jobs/{job['job_id']}"
        loaded(lambda: app.get(path))
        httpx.put(f"{app.url}/api/v1{path}/credentials", json=secret, timeout=30).raise_for_status()
        app.post(f"{path}/approve", {}).raise_for_status()
        yield apps


def _wrong(apps: dict[str, AppProcess], case: Case, writes: set[str]) -> list[str]:
    app, thread_id = apps[case.where], f"said-{clock.new_id()}"

    def say(text: str) -> dict[str, Any]:
        answer = app.post("/chat", {"thread_id": thread_id, "message": text})
        answer.raise_for_status()
        said: dict[str, Any] = answer.json()["data"]
        return said

    waiting = [one["approval"]["approval_id"] for said in case.after if (one := say(said))["approval"]]
    answer = say(case.said)
    statuses = [app.get(f"/approvals/{approval_id}")["status"] for approval_id in waiting]
    return failures(case, answer, writes, "withdrawn" in statuses)


def score(cases: Iterable[Case], folder: Path) -> dict[Case, list[str]]:
    """What is wrong with each case."""
    with _apps(folder) as apps:
        writes = {
            where: {tool["name"] for tool in app.get("/tools") if tool["access"] == "write"} - _HANDOFF
            for where, app in apps.items()
        }
        return {case: _wrong(apps, case, writes[case.where]) for case in cases}


_HANDOFF = {"escalate_to_human"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, list[str]]:
    """What is wrong with each case, in conversations without a server."""
    folder, wrong = tmp_path_factory.mktemp("said"), {}
    with ExitStack() as stack:
        businesses = {
            SHOP: stack.enter_context(business("e-commerce", folder)),
            BESIDE: stack.enter_context(business("e-commerce", folder, imported_tools())),
            SAAS: stack.enter_context(business("saas", folder)),
            BANK: stack.enter_context(business("fintech", folder)),
        }
        for case in (*ALL_UTTERANCES, *ALL_REFUSALS):
            conversation, writes = Conversation(businesses[case.where]), businesses[case.where].writes
            for text in case.after:
                conversation.say(text)
            wrong[case] = failures(case, conversation.say(case.said), writes, conversation.was_withdrawn)
    return wrong


def test_no_write_is_proposed_that_a_customer_refuses_or_only_asks_about(
    results: dict[Case, list[str]],
) -> None:
    assert [(case.said, results[case]) for case in ALL_REFUSALS if _is_proposed(results[case])] == []


def test_nearly_all_that_customers_say_gets_what_it_is_for(results: dict[Case, list[str]]) -> None:
    wrong = [(case.said, results[case]) for case in ALL_UTTERANCES if results[case]]
    assert len(wrong) <= 0.05 * len(ALL_UTTERANCES), wrong


def test_what_nobody_tuned_to_is_nearly_as_good(results: dict[Case, list[str]]) -> None:
    """The failures of this half have never been read: don't print them."""
    unread = [case for case in (*THIRD_UTTERANCES, *THIRD_REFUSALS) if case.half == "kept"]
    assert sum(bool(results[case]) for case in unread) <= 0.1 * len(unread)


def _is_proposed(wrong: list[str]) -> bool:
    return any("is proposed" in one for one in wrong)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        scored = score((*ALL_UTTERANCES, *ALL_REFUSALS), Path(made))
    for case, wrong in scored.items():
        if wrong and case.half == "tuned":
            print(" / ".join((*case.after, case.said)), *wrong, sep="\n    ")
    for name, cases in (("utterances", ALL_UTTERANCES), ("refusals", ALL_REFUSALS)):
        right = Counter(case.half for case in cases if not scored[case])
        whole = Counter(case.half for case in cases)
        print(name, {half: f"{right[half]} of {whole[half]}" for half in ("tuned", "kept")})
    proposed = sum(_is_proposed(scored[case]) for case in ALL_REFUSALS)
    print(f"writes proposed on refusals: {proposed} of {len(ALL_REFUSALS)}")
