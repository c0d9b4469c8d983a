"""An edit as the record keeps it: what was edited is what its card, its digest and its customer tell of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client as GradioClient
from gradio_client.exceptions import AppError

from tests.support.harness import AppProcess, Client


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
        ({"amount_cents": 900_000}, "tool_error", "£260.00 at most"),
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
    assert edited["effect"][0]["after"] == "£20.00"


class _Doors:
    """One decision through each door that can say it, and the code of each refusal, in REST's words."""

    def __init__(self, app: AppProcess) -> None:
        self._app = app
        self._gradio = GradioClient(app.url, verbose=False)

    async def codes(self, approval: dict[str, Any], decision: str, **more: Any) -> set[str]:
        asked = [self._rest(approval, decision, more), self._over_gradio(approval, decision, more)]
        if decision in ("approve", "reject") or more.get("args") is not None:
            asked.append(await self._over_socket(approval, decision, more))
        return set(asked)

    def _rest(self, approval: dict[str, Any], decision: str, more: dict[str, Any]) -> str:
        path = f"/approvals/{approval['approval_id']}/decision"
        return str(self._app.post(path, {"decision": decision} | more).json()["error"]["code"])

    def _over_gradio(self, approval: dict[str, Any], decision: str, more: dict[str, Any]) -> str:
        given = (approval["approval_id"], decision, more.get("reason", ""), more.get("args"))
        with pytest.raises(AppError) as refused:
            self._gradio.predict(*given, api_name="/decide")
        return str(refused.value).partition(":")[0]

    async def _over_socket(self, approval: dict[str, Any], decision: str, more: dict[str, Any]) -> str:
        thread = {"thread_id": approval["thread_id"], "interrupt_id": approval["interrupt_id"]}
        async with await Client.connect(self._app.ws_url) as client:
            await client.send(type="interrupt_response", approved=decision != "reject", **thread, **more)
            code = (await client.until("error"))[-1]["code"]
        return "not_found" if code == "no_pending_approval" else str(code)


NO_DECISION: tuple[tuple[str, dict[str, Any]], ...] = (
    ("edit", {"args": ["percent"]}),
    ("approve", {"reason": "x" * 2001}),
)
NO_EDIT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("edit", {}),
    ("reject", {"args": {"percent": 5}}),
)
UNFIT: tuple[str, dict[str, Any]] = ("edit", {"args": {"percent": "ten"}})


async def test_every_door_refuses_a_decision_for_the_same_reason(app: AppProcess) -> None:
    doors = _Doors(app)
    unknown = {"approval_id": "none", "thread_id": "nobody", "interrupt_id": "none"}
    async with await Client.connect(app.ws_url) as client:
        waiting = (await client.turn("d", "Give me a coupon with 10% off"))[-1]
        decided = (await client.turn("e", "Give me a coupon with 10% off"))[-1]
    app.post(f"/approvals/{decided['approval_id']}/decision", {"decision": "reject"})
    for approval in (unknown, decided, waiting):
        for decision, more in NO_DECISION:
            assert await doors.codes(approval, decision, **more) == {"invalid_request"}
    # What can't be decided at all is said so, however little sense its arguments make.
    for decision, more in (*NO_EDIT, UNFIT):
        assert await doors.codes(unknown, decision, **more) == {"not_found"}
        assert await doors.codes(decided, decision, **more) == {"already_decided"}
    for decision, more in NO_EDIT:
        assert await doors.codes(waiting, decision, **more) == {"invalid_request"}
    assert await doors.codes(waiting, UNFIT[0], **UNFIT[1]) == {"invalid_arguments"}
    assert app.pending("d")[0]["approval_id"] == waiting["approval_id"]
