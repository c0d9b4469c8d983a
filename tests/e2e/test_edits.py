"""An edit as the record keeps it: what was edited is what its card, its digest and its customer tell of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import AppProcess, Client


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    with AppProcess(Path(tmp_path_factory.mktemp("edits")) / "var") as running:
        yield running


def _asked(app: AppProcess, thread_id: str, message: str) -> dict[str, Any]:
    return app.post("/chat", {"thread_id": thread_id, "message": message}).json()["data"]["approval"]


def _edit(app: AppProcess, approval: dict[str, Any], **args: Any) -> Any:
    body = {"decision": "edit", "args": approval["args"] | args}
    return app.post(f"/approvals/{approval['approval_id']}/decision", body)


async def test_the_card_the_customer_and_the_record_are_those_of_what_ran(app: AppProcess) -> None:
    async with await Client.connect(app.ws_url) as client:
        await client.turn("a", "Cancel order 1042")
        asked = app.pending("a")[0]
        edited = _edit(app, asked, order_id="1046").json()["data"]
        await client.until("message_complete")
    assert (edited["status"], edited["requested_args"]) == ("edited", {"order_id": "1042"})
    assert edited["summary"].startswith("Cancel order 1046")
    assert {line["subject"] for line in edited["effect"]} == {"order 1046"}
    assert edited["customer_id"] != asked["customer_id"]
    assert edited["facts"]["order_id"] == "1046"
    history = app.get(f"/approvals/{asked['approval_id']}/history")
    decided = history[1]["detail"]
    assert (decided["effect_before"], decided["effect"]) == (asked["effect"], edited["effect"])
    assert (decided["args_before"], decided["args"]) == ({"order_id": "1042"}, {"order_id": "1046"})
    ended = next(row for row in history if row["kind"] == "execution_ended")
    assert (ended["digest"], ended["detail"]["effect"]) == (edited["digest"], edited["effect"])


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        ({"amount_cents": "2000"}, "invalid_arguments", "amount_cents"),
        ({"amount_cents": 20.5}, "invalid_arguments", "amount_cents"),
        ({"amount_cents": None}, "invalid_arguments", "amount_cents"),
        ({"amount_cents": 2**60}, "invalid_arguments", "exact JSON"),
        ({"account": "active"}, "invalid_arguments", "account"),
        ({"reason": "x" * 20_000}, "invalid_arguments", "20000 bytes"),
        ({"amount_cents": -5}, "tool_error", "more than zero"),
        ({"amount_cents": 900_000}, "tool_error", "260.00 GBP at most"),
        ({"order_id": "9999999"}, "tool_error", "no order"),
    ],
)
def test_what_can_not_be_done_is_said_to_who_edits_and_stays_to_be_decided(
    app: AppProcess, args: dict[str, Any], code: str, told: str
) -> None:
    asked = _asked(app, "b", "Refund £25 of order 1044") or app.pending("b")[0]
    refused = _edit(app, asked, **args)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, code)
    assert told in refused.json()["error"]["message"]
    assert app.pending("b")[0]["approval_id"] == asked["approval_id"]


def test_a_whole_number_written_as_a_fraction_is_that_whole_number(app: AppProcess) -> None:
    edited = _edit(app, _asked(app, "c", "Refund £30 of order 1044"), amount_cents=2000.0).json()["data"]
    assert type(edited["args"]["amount_cents"]) is int
    assert "2,000 cents" in edited["effect"][0]["after"]
