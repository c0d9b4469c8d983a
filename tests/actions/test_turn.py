"""An action whose process ends between any two steps: it goes on, is told once, and acts at most once."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smart_support import clock
from smart_support.actions.action import Action, call_digest
from smart_support.actions.store import ActionStore
from smart_support.actions.turn import ActionDependencies, ActionTurn
from smart_support.approvals.decision import DecisionInput
from smart_support.approvals.ledger import Ledger
from smart_support.approvals.policy import Policy, Rule
from smart_support.approvals.queue import ApprovalQueue
from smart_support.approvals.quota import Quota
from smart_support.conversation.broadcast import Broadcast
from smart_support.conversation.recorder import Recorder
from smart_support.conversation.sessions import SessionManager
from smart_support.events import Record
from smart_support.gate.caller import Caller
from smart_support.gate.gate import Gate
from smart_support.storage.state.base import StateDatabase
from smart_support.tools.registry import Access, Call, Registry, Tool
from tests.support.stores import state_of

CALLER = Caller("claude", frozenset({"pay", "pay_safely", "coupon", "look"}), is_client=True)
SCHEMA = {"type": "object", "properties": {"id": {"type": "string"}}, "additionalProperties": False}


class Killed(BaseException):
    """The process ends here."""


class KilledState:
    """A state database whose process ends before or after its n-th transaction."""

    def __init__(self, state: StateDatabase, at: int | None, *, after: bool) -> None:
        self._state = state
        self._left = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)

    async def transact(self, work: Any, **given: Any) -> Any:
        return await self._killed(lambda: self._state.transact(work, **given))

    async def execute(self, sql: str, params: Any = None) -> Any:
        return await self._killed(lambda: self._state.execute(sql, params))

    async def _killed(self, run: Callable[[], Any]) -> Any:
        if self._left is None:
            return await run()
        self._left -= 1
        if self._left == 0 and not self._after:
            raise Killed
        result = await run()
        if self._left == 0:
            raise Killed
        return result


class KeptEvents:
    """An event log in memory. An end of the process loses the last events, if they were not awaited yet."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._durable = 0

    def settle(self) -> None:
        """From now on no end of the process loses an event that is there."""
        self._durable = len(self.records)

    def end(self, lost: int) -> None:
        """The process ends, and the last `lost` events with it."""
        del self.records[max(self._durable, len(self.records) - lost) :]
        self.settle()

    def append(self, record: Record, chain: object = None) -> "asyncio.Future[None]":
        self.records.append(record)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        durable.set_result(None)
        return durable

    async def read(self, thread_id: str, after: int = 0, limit: int | None = None) -> list[Record]:
        return [one for one in self.records if one.seq > after]

    async def has(self, thread_id: str, event_id: str) -> bool:
        return any(one.event_id == event_id for one in self.records)


class KeepingRecorder(Recorder):
    """A recorder over `KeptEvents`: what it has awaited is kept."""

    def __init__(self, log: KeptEvents, *given: Any) -> None:
        super().__init__(*given)
        self._kept = log

    async def settle(self) -> None:
        await super().settle()
        self._kept.settle()


@dataclass
class World:
    """What lasts when a process ends, and the process that runs now."""

    state: StateDatabase
    tool: str
    kill_in_tool: bool
    thread_id: str = field(default_factory=clock.new_id)
    log: KeptEvents = field(default_factory=KeptEvents)
    effects: list[str | None] = field(default_factory=list)

    def start(self, kill_at: int | None = None, *, after: bool = False) -> None:
        """Start a process that ends at the given transaction."""
        state: Any = KilledState(self.state, kill_at, after=after)

        async def act(args: Any, call: Call) -> Any:
            self.effects.append(call.idempotency_key)
            if self.kill_in_tool:
                self.kill_in_tool = False
                raise Killed
            return {"id": args.get("id"), "done": True}

        def tool(name: str, access: Access, *, idempotent: bool = False) -> Tool:
            return Tool(
                name=name,
                description=name,
                schema=SCHEMA,
                access=access,
                run=act,
                idempotent=idempotent,
                customer_source="none",
            )

        async def escalate(*_: Any, **__: Any) -> bool:
            return False

        registry = Registry(
            [
                tool("pay", Access.WRITE),
                tool("pay_safely", Access.WRITE, idempotent=True),
                tool("coupon", Access.WRITE),
                tool("look", Access.READ),
            ]
        )
        self.approvals = ApprovalQueue(state, ttl_seconds=600)
        self.sessions = SessionManager(state, 600)
        self.store = ActionStore(state)
        gate = Gate(
            registry=registry,
            # Examples share the database: the fourth coupon would be over the default ceiling.
            policy=Policy([Rule(tool="coupon", then="run", max_per_conversation=1_000)]),
            approvals=self.approvals,
            ledger=Ledger(state),
            quota=Quota(state),
            escalate=escalate,
        )
        self.dependencies = ActionDependencies(
            store=self.store,
            gate=gate,
            approvals=self.approvals,
            sessions=self.sessions,
            event_log=self.log,  # type: ignore[arg-type]
            caller=lambda name: CALLER,
            escalate=escalate,
        )
        self.broadcast = Broadcast(self.log)  # type: ignore[arg-type]

    async def run(self, work: Any, turn_id: str | None = None) -> None:
        """Run one turn, as the turn runner does."""
        is_recovery = turn_id is not None
        covers = (self.log.records[-1].seq + 1 if self.log.records else 1) if is_recovery else None
        session = await self.sessions.begin_turn(self.thread_id, turn_id or clock.new_id(), "rest")
        recorder = KeepingRecorder(self.log, session, self.log, self.broadcast, self.sessions, covers)
        turn = ActionTurn(self.dependencies, session, recorder)
        await turn.run(work)
        turn.publish_end()

    async def request(self) -> Action:
        """Put the action on record and run its first turn."""
        args = {"id": self.thread_id}
        now = clock.rfc3339(clock.now())
        digest = call_digest(caller="claude", customer=None, tool=self.tool, args=args)
        access = Access.READ if self.tool == "look" else Access.WRITE
        action = Action(
            action_id=self.thread_id,
            caller="claude",
            thread_id=self.thread_id,
            channel="rest",
            tool=self.tool,
            access=access,
            args=args,
            call_digest=digest,
            client={},
            requested_at=now,
        )
        action = await self.store.add_or_join(action)
        await self.run(lambda turn: turn.advance(action.action_id))
        return action

    async def recover(self) -> None:
        """Go on as after a start."""
        session = await self.sessions.load(self.thread_id)
        if session is not None and session.turn_id is not None:
            await self.run(lambda turn: turn.finish(), session.turn_id)
        for approval in await self.approvals.not_resumed():
            if approval.thread_id == self.thread_id:
                await self.run(lambda turn, one=approval: turn.resume(one))
        for action in await self.store.running():
            if action.thread_id == self.thread_id:
                await self.run(lambda turn, one=action: turn.catch_up(one.action_id))

    async def decide(self, decision: str, *, go_on: bool = True) -> None:
        """Decide what waits, and go on; another process, which only decides, leaves that to a recovery."""
        for approval in await self.approvals.of_thread(self.thread_id):
            if approval.status == "pending":
                given = DecisionInput(decision, decided_by="dana", via="rest")
                decided = await self.approvals.decide(approval.approval_id, given)
                if go_on:
                    await self.run(lambda turn, one=decided: turn.resume(one))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateDatabase]:
    database = state_of(tmp_path_factory.mktemp("turns"))
    yield database
    database.close()


_kill = st.tuples(st.none() | st.integers(1, 14), st.booleans())


@given(
    tool=st.sampled_from(["pay", "pay_safely", "coupon", "look"]),
    decision=st.sampled_from(["approve", "approve", "reject"]),
    kills=st.lists(_kill, min_size=3, max_size=3),
    kill_in_tool=st.booleans(),
    lost=st.integers(0, 4),
    is_decided_meanwhile=st.booleans(),
)
@example("pay", "approve", [(None, False)] * 3, False, 0, False)
@example("pay_safely", "approve", [(None, False)] * 3, True, 0, False)
# Killed with the approval stored and its event not; and with the action settled and its result not.
@example("pay", "approve", [(4, True), (None, False), (None, False)], False, 0, True)
@example("pay", "approve", [(5, True), (None, False), (None, False)], False, 4, False)
@example("pay", "approve", [(None, False), (12, True), (None, False)], False, 4, False)
@example("coupon", "approve", [(8, True), (None, False), (None, False)], False, 2, False)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_an_action_survives_the_end_of_its_process_and_acts_at_most_once(
    state: StateDatabase,
    tool: str,
    decision: str,
    kills: list[tuple[int | None, bool]],
    kill_in_tool: bool,
    lost: int,
    is_decided_meanwhile: bool,
) -> None:
    world = World(state, tool, kill_in_tool)
    requested = False
    for kill_at, after in [*kills, (None, False), (None, False)]:
        world.start(kill_at, after=after)
        try:
            if not requested:
                await world.request()
                requested = True
            else:
                await world.recover()
            await world.decide(decision)
        except Killed:
            world.log.end(lost)
            if is_decided_meanwhile:
                world.start()
                await world.decide(decision, go_on=False)
            requested = requested or bool(
                await state.read("SELECT 1 FROM actions WHERE action_id = :id", {"id": world.thread_id})
            )
    action = await world.store.get(world.thread_id, "claude")
    assert action.is_settled, action
    asked = tool in ("pay", "pay_safely")
    if asked and decision == "reject":
        assert (action.status, world.effects) == ("rejected", [])
    elif tool in ("pay", "coupon"):
        assert len(world.effects) <= 1
        assert (
            action.status == "done"
            or (kill_in_tool and action.status == "outcome_unknown")
            or (action.status == "outcome_unknown" and any(kill_at for kill_at, _ in kills))
        )
    elif tool == "pay_safely":
        assert len(set(world.effects)) == 1
        assert action.status == "done"
    else:
        assert action.status == "done"
    told = Counter(one.event.type for one in world.log.records)
    assert (told["tool_call"], told["tool_result"], told["interrupt"], told["decision"]) == (
        1,
        1,
        asked,
        asked,
    )
    ends = Counter(one.turn_id for one in world.log.records if one.event.ends_turn)
    assert set(ends.values()) == {1}
    assert [one.seq for one in world.log.records] == sorted({one.seq for one in world.log.records})
