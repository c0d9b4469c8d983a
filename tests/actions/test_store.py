"""Which call joins which action, held against the table of the contract."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.actions.action import UNSETTLED, Action, call_digest
from smart_support.actions.store import ActionStore
from smart_support.conversation.erasure import blank
from smart_support.errors import IdempotencyConflict, NotFound
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Access
from tests.support.stores import state_of

START = clock.parse("2026-01-01T00:00:00.000000Z")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateDatabase]:
    database = state_of(tmp_path_factory.mktemp("actions"))
    yield database
    database.close()


def _action(at: datetime = START, **fields: Any) -> Action:
    usual: dict[str, Any] = {
        "action_id": clock.new_id(),
        "caller": "claude",
        "thread_id": clock.new_id(),
        "channel": "rest",
        "tool": "cancel_order",
        "access": Access.WRITE,
        "args": {"order_id": "1042"},
        "client": {},
        "requested_at": clock.rfc3339(at),
    }
    values = usual | fields
    names = {name: values[name] for name in ("caller", "tool", "args")}
    return Action(**values, call_digest=call_digest(**names, customer=None))


@dataclass
class _Known:
    """What the reference knows of an action."""

    action: Action
    at: datetime
    status: str = "running"
    settled_at: datetime | None = None


def _expected(known: list[_Known], new: Action, at: datetime) -> tuple[str, _Known | None]:
    """What the contract says of a new call: `conflict`, `joins` which, or `new` with a possible original."""
    day, ten = timedelta(hours=24), timedelta(minutes=10)
    if new.access is Access.READ:
        return "new", None
    writes = [one for one in reversed(known) if one.action.access is Access.WRITE]
    equal = [one for one in writes if one.action.call_digest == new.call_digest]
    if new.idempotency_key is not None:
        of_key = [
            one
            for one in writes
            if (one.action.caller, one.action.idempotency_key) == (new.caller, new.idempotency_key)
            and one.at > at - day
        ]
        if of_key:
            return ("joins" if of_key[0] in equal else "conflict"), of_key[0]
    else:
        for one in equal:
            recent = one.status == "done" and one.settled_at is not None and one.settled_at > at - ten
            if one.status in (*UNSETTLED, "outcome_unknown") or recent:
                return "joins", one
    may_have_run = (*UNSETTLED, "done", "outcome_unknown")
    return "new", next((one for one in equal if one.status in may_have_run and one.at > at - day), None)


_calls = st.fixed_dictionaries(
    {
        "caller": st.sampled_from(["claude", "cursor"]),
        "args": st.sampled_from([{"order_id": "1042"}, {"order_id": "1043"}]),
        "idempotency_key": st.sampled_from([None, None, "k1", "k2"]),
        "access": st.sampled_from([Access.WRITE, Access.WRITE, Access.WRITE, Access.READ]),
    }
)
_steps = st.lists(
    st.tuples(
        _calls,
        st.sampled_from(
            ["pending", "done", "done", "rejected", "expired", "failed", "outcome_unknown", None]
        ),
        st.sampled_from(
            [timedelta(seconds=1), timedelta(minutes=9), timedelta(minutes=11), timedelta(hours=25)]
        ),
    ),
    min_size=2,
    max_size=12,
)


@given(steps=_steps)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_calls_join_as_the_contract_says(state: StateDatabase, steps: list[Any]) -> None:
    store, known, at = ActionStore(state), [], START
    await state.execute("DELETE FROM actions")
    for call, becomes, later in steps:
        new = _action(at, **call)
        what, which = _expected(known, new, at)
        if what == "conflict":
            with pytest.raises(IdempotencyConflict):
                await store.add_or_join(new)
        else:
            made = await store.add_or_join(new)
            assert made.joined is (what == "joins")
            if what == "joins":
                assert which is not None
                assert made.action_id == which.action.action_id
            else:
                assert made.action_id == new.action_id
                assert made.duplicate_of == (which.action.action_id if which else None)
                settled = at if becomes not in (None, "pending") else None
                if becomes:
                    stored = clock.rfc3339(at) if settled else None
                    await store.update(made, status=becomes, settled_at=stored)
                known.append(_Known(made, at, becomes or "running", settled))
        at += later


async def test_a_settled_action_stays_as_it_is(state: StateDatabase) -> None:
    store = ActionStore(state)
    made = await store.add_or_join(_action(args={"order_id": "settled"}))
    done = await store.update(made, status="done", result={"ok": True}, settled_at=made.requested_at)
    assert (await store.update(made, status="failed", result=None)) == done
    assert await store.get(made.action_id, "claude") == done
    assert made.action_id not in {one.action_id for one in await store.running()}


async def test_what_another_caller_has_does_not_exist(state: StateDatabase) -> None:
    store = ActionStore(state)
    made = await store.add_or_join(_action(args={"order_id": "mine"}, thread_id="of-claude"))
    with pytest.raises(NotFound):
        await store.get(made.action_id, "cursor")
    with pytest.raises(NotFound):
        await store.add_or_join(_action(caller="cursor", thread_id="of-claude", args={"order_id": "3"}))
    with pytest.raises(NotFound):
        await store.get("no-action", "claude")
    again = await store.add_or_join(replace(_action(args={"order_id": "2"}), thread_id="of-claude"))
    assert again.thread_id == "of-claude"


@pytest.mark.parametrize("is_settled_first", [True, False])
async def test_a_long_read_is_on_record_once_whichever_comes_first(
    state: StateDatabase, *, is_settled_first: bool
) -> None:
    store, running = ActionStore(state), _action(access=Access.READ)
    at = clock.rfc3339(START)
    done = replace(running, status="done", result={"a": 1}, settled_at=at)
    if is_settled_first:
        await store.add_settled(done, 3, "C-1")
        assert (await store.add_running(running, None, 4)).status == "done"
    else:
        assert (await store.add_running(running, None, 4)).status == "running"
        await store.add_settled(done, 3, "C-1")
    assert await store.get(running.action_id, "claude") == done
    (thread,) = await state.read(
        "SELECT last_seq, customer_id, caller FROM sessions WHERE thread_id = :id", {"id": running.thread_id}
    )
    assert thread == {"last_seq": 3, "customer_id": "C-1", "caller": "claude"}


async def test_erasing_a_thread_deletes_its_actions_with_their_keys_and_results(state: StateDatabase) -> None:
    store = ActionStore(state)
    client = {"client_name": "Robot", "reason": "private words"}
    erased = await store.add_or_join(_action(thread_id="erased", idempotency_key="k", client=client))
    kept = await store.add_or_join(_action(thread_id="kept", tool="refund_order", client=client))
    for action in (erased, kept):
        await store.update(action, status="done", result={"private": "words"})
    await state.transact(lambda c: blank(c, ["erased"], {"kind": "erased", "actor": "ann", "via": "rest"}))
    with pytest.raises(NotFound):
        await store.get(erased.action_id)
    assert await store.callers_of("erased") == {}
    assert (await store.get(kept.action_id)).result == {"private": "words"}
    again = await store.add_or_join(_action(thread_id="new", idempotency_key="k", tool="other_tool"))
    assert not again.joined
