"""Reviews on a database of their own: names, approvals and what stands in the way of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from smart_support.connectors.openapi.document.tool_names import tool_names
from smart_support.connectors.review.blocked import OperationsBlocked
from smart_support.errors import Conflict, ToolRefused
from smart_support.tools.names import MAX_LENGTH
from smart_support.tools.registry import Call
from tests.support.import_service import Reviews, document, operation, reviews

LONG = "getTheVeryLongNameOfAnOperationThatGoesOnUntilItIsAsLongAsItCanPossiblyBe"
HERE, THERE = "http://127.0.0.1:1", "http://127.0.0.1:2"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Reviews]:
    async with reviews(tmp_path, reserved=["find_tools"]) as running:
        yield running


def _paths(*ids: str) -> dict[str, object]:
    return {f"/{number}": {"get": operation(one)} for number, one in enumerate(ids)}


async def test_a_name_of_the_greatest_length_is_approved_and_used(desk: Reviews) -> None:
    job = await desk.imported(document("Long", HERE, _paths(f"{LONG}X", f"{LONG}Y")))
    await desk.service.approve(job.job_id, by="dana")
    assert len(desk.tools) == 2
    assert max(map(len, desk.tools)) == MAX_LENGTH


async def test_two_editions_of_one_api_are_used_beside_each_other(desk: Reviews) -> None:
    ids = ("list", f"{LONG}X", f"{LONG}Y", "findTools")
    for url in (HERE, THERE):
        job = await desk.imported(document("Code Host", url, _paths(*ids)))
        await desk.service.approve(job.job_id, by="dana")
    assert len(desk.tools) == 2 * len(ids)
    assert "find_tools" not in desk.tools
    assert {*tool_names({f"GET /{n}": one for n, one in enumerate(ids[:3])}).values()} < {*desk.tools}


async def test_two_editions_in_review_at_once_are_told_apart(desk: Reviews) -> None:
    first = await desk.imported(document("Code Host", HERE, _paths("list")))
    second = await desk.imported(document("Code Host", THERE, _paths("list")))
    assert (first.api, second.api) == ("code_host", "code_host_2")
    again = await desk.imported(document("Code Host", THERE, _paths("list", "get")))
    assert again.api == second.api


async def test_approving_names_every_conflict_at_once(desk: Reviews) -> None:
    ids = ("list", "get", "free")
    first = await desk.imported(document("Code Host", HERE, _paths(*ids[:2])))
    second = await desk.imported(document("Code Host", THERE, _paths(*ids)))
    await desk.service.approve(first.job_id, by="dana")
    with pytest.raises(OperationsBlocked, match=r"2 operations: .*'list'.*'get'") as told:
        await desk.service.approve(second.job_id, by="dana")
    assert [one["key"] for one in told.value.fields["blocked"]] == ["list", "get"]
    # Each is put right on its own, though the other is still in conflict.
    await desk.service.edit(second.job_id, ["list"], {"tool_name": "list_in_cloud"}, by="dana")
    await desk.service.edit(second.job_id, ["get"], {"enabled": False}, by="dana")
    await desk.service.approve(second.job_id, by="dana")
    assert {*desk.tools} == {"list", "get", "list_in_cloud", "free"}


async def test_a_failure_before_the_store_changes_nothing(desk: Reviews) -> None:
    job = await desk.imported(document("Code Host", HERE, _paths("list")))

    def refuse(_: object) -> None:
        raise ValueError("no graph today")

    desk.build = refuse
    with pytest.raises(ValueError, match="no graph"):
        await desk.service.approve(job.job_id, by="dana")
    assert (await desk.service.store.job(job.job_id)).status == "review"
    assert desk.tools == {}


async def test_an_operation_of_a_live_import_is_turned_off_and_on(desk: Reviews) -> None:
    job = await desk.imported(document("Desk", HERE, _paths("list", "get")))
    await desk.service.approve(job.job_id, by="dana")
    running = desk.tools["get"]
    await desk.service.edit(job.job_id, ["GET /1"], {"enabled": False}, by="dana")
    assert {*desk.tools} == {"list"}
    # As a turn under way, or another process, has it.
    with pytest.raises(ToolRefused, match="disabled a moment ago"):
        await running.run({}, Call("thread", "call"))
    assert [one.enabled for one in (await desk.service.store.operations(job.job_id)).values()] == [
        True,
        False,
    ]
    await desk.service.edit(job.job_id, ["get"], {"enabled": True}, by="dana")
    assert {*desk.tools} == {"list", "get"}
    rows = await desk.state.read("SELECT detail FROM audit WHERE kind = 'tools_changed'")
    assert ["get" in row["detail"] for row in rows] == [True, True]
    with pytest.raises(Conflict, match="import the API again"):
        await desk.service.edit(job.job_id, ["get"], {"agent": "other"}, by="dana")


async def test_a_refused_change_of_a_live_import_changes_nothing(desk: Reviews) -> None:
    job = await desk.imported(document("Desk", HERE, _paths("list", "get")))
    await desk.service.approve(job.job_id, by="dana")

    def refuse(_: object) -> None:
        raise ValueError("no graph today")

    desk.build = refuse
    with pytest.raises(ValueError, match="no graph"):
        await desk.service.edit(job.job_id, ["get"], {"enabled": False}, by="dana")
    assert all(one.enabled for one in (await desk.service.store.operations(job.job_id)).values())
    assert {*desk.tools} == {"list", "get"}


async def test_a_bulk_change_names_what_stands_in_the_way_and_can_leave_it_out(desk: Reviews) -> None:
    paths = _paths("list") | {"/n": {"put": operation("set"), "delete": operation("drop")}}
    job = await desk.imported(document("Desk", HERE, paths))
    keys = ["list", "set", "drop"]
    with pytest.raises(OperationsBlocked) as told:
        await desk.service.edit(job.job_id, keys, {"needs_approval": False}, by="dana")
    assert [one["key"] for one in told.value.fields["blocked"]] == ["set", "drop"]
    edited = await desk.service.edit(job.job_id, keys, {"needs_approval": False}, by="dana", leave_out=True)
    assert [one.key for one in edited.changed] == ["list"]
    assert [one.key for one in edited.left_out] == ["set", "drop"]
    names = {"tool_name": "same"}
    with pytest.raises(OperationsBlocked, match="'same' is taken"):
        await desk.service.edit(job.job_id, keys, names, by="dana")


async def test_an_operation_of_a_live_import_whose_name_was_taken_is_not_turned_on(desk: Reviews) -> None:
    first = await desk.imported(document("Desk", HERE, _paths("list", "get")))
    await desk.service.edit(first.job_id, ["get"], {"enabled": False}, by="dana")
    await desk.service.approve(first.job_id, by="dana")
    second = await desk.imported(document("Other", THERE, _paths("free", "got")))
    await desk.service.edit(second.job_id, ["got"], {"enabled": False}, by="dana")
    await desk.service.approve(second.job_id, by="dana")
    await desk.state.execute("UPDATE operations SET tool_name = 'get' WHERE key = 'got'", {})
    keys = {"keys": ["free", "got"], "changes": {"enabled": True}, "by": "dana"}
    with pytest.raises(OperationsBlocked, match="'get' is taken"):
        await desk.service.edit(second.job_id, **keys)
    edited = await desk.service.edit(second.job_id, **keys, leave_out=True)
    assert [one.key for one in edited.left_out] == ["got"]
