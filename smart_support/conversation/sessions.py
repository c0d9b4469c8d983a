"""Sessions: the life, the numbers and the running turn of each thread.

A turn that is still in its session at start-up was cut off by a crash.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from smart_support import audit, clock, events
from smart_support.errors import (
    CustomerMismatch,
    Forbidden,
    NotFound,
    SessionExpired,
    StorageFailed,
    TakenOver,
)
from smart_support.events import Takeover
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.identity.users import Role, User
from smart_support.storage.state.base import Connection, Row, StateDatabase, in_clause, on_thread

SEQ_BLOCK = 1000
# How much of a message the inbox shows.
PREVIEW_CHARS = 160
OWNED_AT_MOST = 10_000
# At the end of a turn in which something was said.
_LAST_MESSAGE = """
    last_role = :role, last_by = :by, last_text = :text, last_said_at = :said_at,
    customer_seq = COALESCE(:customer_seq, customer_seq),
    customer_said_at = CASE WHEN :role = 'customer' THEN COALESCE(customer_said_at, :said_at) END,
    seen_seq = CASE WHEN :role = 'colleague' THEN :seq ELSE seen_seq END
"""
# The checkpoint id for a graph that has none.
ANY_CHECKPOINT = "*"


@dataclass(frozen=True, slots=True)
class Session:
    """One thread's session.

    Attributes:
        last_seq: the highest number in use when the thread was last at rest.
        reserved_seq: numbers above it were never published.
        turn_id: the turn that runs, or that a crash cut off; None at rest.
        spoken_by: who sent the last message, as they logged in; `owner`: who sent the first.
        side_thread_id: the side thread on which messages were answered while an approval is or was pending.
        stuck_checkpoint: the checkpoint from which the thread's graph must never be resumed again.
        stuck_because: what a human has to check first, where an approved call may have run there.
        taken_by: the person who has the conversation in place of the agents, since `taken_at`.
        unread_seq: the agents have not read the messages after this number; None where they have read all.
        caller: the API client whose actions the thread holds; None for a conversation.
        unrecorded_takeovers: takeovers that are not in the event log yet, by the id of their event.
        customer: whom the conversation is bound to, as a website has vouched.
    """

    thread_id: str
    customer_id: str | None
    created_at: datetime
    last_active_at: datetime
    last_message_at: datetime
    last_seq: int
    reserved_seq: int
    turn_id: str | None
    turn_channel: str | None
    spoken_by: str | None
    owner: str | None
    side_thread_id: str | None
    stuck_checkpoint: str | None = None
    stuck_because: str | None = None
    taken_by: str | None = None
    taken_at: str | None = None
    unread_seq: int | None = None
    caller: str | None = None
    unrecorded_takeovers: Mapping[str, Takeover] = field(default_factory=dict)
    customer: VerifiedCustomer | None = None

    def is_stuck_at(self, checkpoint_id: str) -> bool:
        """Whether the graph must not be resumed from this checkpoint."""
        return self.stuck_checkpoint in (checkpoint_id, ANY_CHECKPOINT)


@dataclass(slots=True)
class LastMessage:
    """What was said last in a turn.

    Attributes:
        seq: its number. customer_seq: that of the customer's last message in the turn, if there is one.
        said_at: RFC 3339. role, by: as in `events.Message`; `by` is the agent or the colleague.
    """

    seq: int
    role: str
    by: str | None
    text: str
    said_at: str
    customer_seq: int | None = None


def check_conversation(session: Session) -> None:
    """Check that a thread is a conversation.

    Raises:
        NotFound: it holds the actions of an API client, whom nobody talks with.
    """
    if session.caller is not None:
        raise NotFound(
            f"thread {session.thread_id}: it holds the actions of the API client {session.caller}, and no "
            "conversation; use another thread_id"
        )


class SessionManager:
    """Sessions with a sliding time to live."""

    def __init__(
        self, state: StateDatabase, ttl_seconds: float, holder: str = "", *, is_single_process: bool = True
    ) -> None:
        """
        Args:
            holder: the name of this process, where other processes can take over its turns.
            is_single_process: no other process changes sessions.
        """
        self._state = state
        self._holder = holder
        self._is_single_process = is_single_process
        self._ttl = timedelta(seconds=ttl_seconds)
        # Who has a conversation whose turn runs here; None for the agents.
        self._taken_by: dict[str, str | None] = {}
        self._subscribers: set[Callable[[str], None]] = set()
        self._binding_subscribers: set[Callable[[str], None]] = set()

    def subscribe(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with each thread whose session changes. Returns a function that ends it."""
        self._subscribers.add(callback)
        return lambda: self._subscribers.discard(callback)

    def notify(self, thread_id: str) -> None:
        """Call the subscribers with a thread."""
        for callback in tuple(self._subscribers):
            callback(thread_id)

    def subscribe_to_bindings(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` with each thread that is bound to a customer, before anything else happens on it.

        Returns:
            A function that ends it.
        """
        self._binding_subscribers.add(callback)
        return lambda: self._binding_subscribers.discard(callback)

    def notify_of_binding(self, thread_id: str) -> None:
        """Call the subscribers with a thread that was bound to a customer."""
        for callback in tuple(self._binding_subscribers):
            callback(thread_id)

    def get_state(self, thread_id: str) -> Session | None:
        """The session of a thread, or None where there is none."""
        rows = self._state.read_now("SELECT * FROM sessions WHERE thread_id = :id", {"id": thread_id})
        return _session(rows[0]) if rows else None

    async def load(self, thread_id: str) -> Session | None:
        """As `get_state`, for callers that are async."""
        rows = await self._state.read("SELECT * FROM sessions WHERE thread_id = :id", {"id": thread_id})
        return _session(rows[0]) if rows else None

    async def in_turn(self) -> list[Session]:
        """Sessions whose turn has not ended. At start-up: those that a crash cut off."""
        rows = await self._state.read("SELECT * FROM sessions WHERE turn_id IS NOT NULL")
        return [_session(row) for row in rows]

    async def check_owner(self, thread_id: str, user: User, *, must_exist: bool = False) -> None:
        """Raise `Forbidden` where a conversation is not an operator's own.

        Args:
            must_exist: raise it for a conversation that does not exist, too, so that nobody can find out
                which ones do; and for one that is bound to a customer, because there is no token.
        """
        if user.role >= Role.LEAD:
            return
        session = await self.load(thread_id)
        if session is None and must_exist:
            raise _not_owned(thread_id)
        _check_owner(thread_id, session, user)
        if must_exist:
            await self.check_customer(thread_id, user, None)

    async def claim(self, thread_id: str, user: User) -> None:
        """Make a new conversation an operator's own, before anybody else can follow it.

        Raises:
            Forbidden: it is another user's.
        """
        if user.role >= Role.LEAD:
            return
        await self._state.execute(
            """INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, owner)
               VALUES (:thread_id, :now, :now, :now, :owner) ON CONFLICT (thread_id) DO NOTHING""",
            {"thread_id": thread_id, "now": clock.rfc3339(clock.now()), "owner": user.name},
        )
        await self.check_owner(thread_id, user)

    # Verified customers

    async def check_customer(self, thread_id: str, user: User, customer: VerifiedCustomer | None) -> None:
        """Check that a conversation that belongs to a customer is not used by anybody else.

        Args:
            user: a lead needs no token.
            customer: who sends, as a token says.

        Raises:
            CustomerMismatch: it belongs to another customer, or nobody vouches for the sender.
        """
        if customer or user.role < Role.LEAD:
            _check_customer(thread_id, await self.customer_of(thread_id), user, customer)

    async def check_sender(
        self, thread_id: str, user: User, customer: VerifiedCustomer | None, *, has_turn: bool
    ) -> None:
        """Check in one read that a user may send a message, as `check_owner` and `check_customer`.

        Args:
            has_turn: a turn of the thread runs or waits, which keeps it alive.

        Raises:
            SessionExpired: the thread is past its time to live. A pending approval keeps it alive.
            NotFound: it holds the actions of an API client.
        """
        session = await self.load(thread_id)
        _check_owner(thread_id, session, user)
        if session:
            check_conversation(session)
        _check_customer(thread_id, session.customer if session else None, user, customer)
        if session and not has_turn:
            await self._check_alive(session)

    async def bind_customer(self, thread_id: str, customer: VerifiedCustomer) -> None:
        """Bind a conversation to a customer, from its beginning or from now on; durable when this returns.

        Raises:
            CustomerMismatch: it belongs to another one.
        """
        rows = await self._state.execute(
            """INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, bound_customer,
                   bound_name, bound_email)
               VALUES (:thread_id, :now, :now, :now, :id, :name, :email)
               ON CONFLICT (thread_id) DO UPDATE SET bound_customer = :id,
                   bound_name = COALESCE(:name, sessions.bound_name),
                   bound_email = COALESCE(:email, sessions.bound_email)
               WHERE sessions.bound_customer IS NULL OR sessions.bound_customer = :id
               RETURNING thread_id""",
            {
                "thread_id": thread_id,
                "now": clock.rfc3339(clock.now()),
                "id": customer.id,
                "name": customer.name,
                "email": customer.email,
            },
        )
        if not rows:
            raise CustomerMismatch(thread_id, is_missing=False)
        self.notify_of_binding(thread_id)

    async def customer_of(self, thread_id: str) -> VerifiedCustomer | None:
        """The customer that a conversation is bound to."""
        sql = "SELECT bound_customer, bound_name, bound_email FROM sessions WHERE thread_id = :id"
        rows = await self._state.read(sql, {"id": thread_id})
        return _customer(rows[0]) if rows else None

    async def owned(self, user: User) -> list[str]:
        """The newest conversations that a user began, at most `OWNED_AT_MOST`, the newest first.

        Without those of verified customers: they need a token, and a list has no place for one.
        """
        rows = await self._state.read(
            """SELECT thread_id FROM sessions WHERE owner = :name AND bound_customer IS NULL
               ORDER BY created_at DESC LIMIT :most""",
            {"name": user.name, "most": OWNED_AT_MOST},
        )
        return [row["thread_id"] for row in rows]

    async def _check_alive(self, session: Session) -> None:
        if session.turn_id or clock.now() < session.last_active_at + self._ttl:
            return
        thread_id = session.thread_id
        waiting = await self._state.read(
            "SELECT 1 FROM approvals WHERE thread_id = :id AND status = 'pending' LIMIT 1", {"id": thread_id}
        )
        if not waiting:
            raise SessionExpired(
                f"thread {thread_id}: this conversation has expired; start a new one with another thread_id"
            )

    async def begin_turn(
        self,
        thread_id: str,
        turn_id: str,
        channel: str,
        *,
        spoken_by: str | None = None,
        message: str | None = None,
    ) -> Session:
        """Mark a turn as running and reserve numbers for it; durable when this returns.

        After a turn that a crash cut off, numbers go on above all that it may have published.

        Args:
            spoken_by: who sent the message it begins with; None where it begins with none.
            message: the text of that message.
        """

        now = clock.rfc3339(clock.now())
        rows = await self._state.execute(
            """INSERT INTO sessions (thread_id, created_at, last_active_at, last_message_at, reserved_seq,
                   turn_id, turn_channel, turn_started_at, spoken_by, owner, turn_holder,
                   opening, last_role, last_text, last_said_at, customer_seq, customer_said_at)
               VALUES (:thread_id, :now, :now, :now, :block, :turn_id, :channel, :now, :spoken_by,
                   :spoken_by, :holder, :said, :role, :said, :said_at, :first, :said_at)
               ON CONFLICT (thread_id) DO UPDATE SET last_active_at = :now, turn_id = :turn_id,
                   turn_holder = :holder,
                   last_message_at =
                       CASE WHEN :spoken_by IS NULL THEN sessions.last_message_at ELSE :now END,
                   spoken_by = COALESCE(:spoken_by, sessions.spoken_by),
                   owner = COALESCE(sessions.owner, :spoken_by),
                   opening = COALESCE(sessions.opening, :said),
                   last_role = COALESCE(:role, sessions.last_role),
                   last_by = CASE WHEN :role IS NULL THEN sessions.last_by END,
                   last_text = COALESCE(:said, sessions.last_text),
                   last_said_at = COALESCE(:said_at, sessions.last_said_at),
                   customer_seq = CASE WHEN :role IS NULL THEN sessions.customer_seq
                       ELSE sessions.last_seq + 1 END,
                   customer_said_at = COALESCE(sessions.customer_said_at, :said_at),
                   turn_channel = :channel, turn_started_at = :now,
                   last_seq = CASE WHEN sessions.turn_id IS NULL THEN sessions.last_seq
                       ELSE sessions.reserved_seq END,
                   reserved_seq = :block + CASE WHEN sessions.turn_id IS NULL THEN sessions.last_seq
                       ELSE sessions.reserved_seq END
               RETURNING *""",
            {
                "thread_id": thread_id,
                "now": now,
                "turn_id": turn_id,
                "channel": channel,
                "block": SEQ_BLOCK,
                "spoken_by": spoken_by,
                "holder": self._holder,
                "said": preview(message) if message else None,
                "role": "customer" if message else None,
                "said_at": now if message else None,
                "first": 1 if message else None,
            },
        )
        session = _session(rows[0])
        self._taken_by[thread_id] = session.taken_by
        self.notify(thread_id)
        return session

    async def reserve(self, thread_id: str, upto: int) -> None:
        """Reserve numbers up to `upto`; durable when this returns.

        Raises:
            StorageFailed: another process has taken the turn over.
        """
        await self._in_turn(thread_id, "reserved_seq = :upto", {"upto": upto})

    async def set_side_thread(self, thread_id: str, side_thread_id: str | None) -> None:
        """Set the side thread on which messages are answered; None once they are in the conversation."""
        await self._state.execute(
            "UPDATE sessions SET aside = :side_thread WHERE thread_id = :id",
            {"id": thread_id, "side_thread": side_thread_id},
        )

    async def mark_stuck(self, thread_id: str, checkpoint_id: str, because: str | None) -> None:
        """Note that the thread's graph must never be resumed from a checkpoint again.

        Args:
            because: what a human has to check first, where an approved call may have run there.
        """
        await self._state.execute(
            """UPDATE sessions SET stuck_checkpoint = :checkpoint, stuck_because = CASE
                   WHEN stuck_checkpoint = :checkpoint THEN COALESCE(:because, stuck_because)
                   ELSE :because END
               WHERE thread_id = :id""",
            {"id": thread_id, "checkpoint": checkpoint_id, "because": because},
        )

    # People who take over

    async def taken_by(self, thread_id: str) -> str | None:
        """The person who has the conversation in place of the agents."""
        # An agent looks before each step.
        if self._is_single_process and thread_id in self._taken_by:
            return self._taken_by[thread_id]
        sql = "SELECT taken_by FROM sessions WHERE thread_id = :id"
        rows = await self._state.read(sql, {"id": thread_id})
        return rows[0]["taken_by"] if rows else None

    async def holders(self, thread_ids: Sequence[str]) -> dict[str, str]:
        """Those of the conversations that a person has, with that person."""
        if not thread_ids:
            return {}
        among, given = in_clause("thread", thread_ids)
        sql = f"SELECT thread_id, taken_by FROM sessions WHERE taken_by IS NOT NULL AND thread_id IN {among}"
        return {row["thread_id"]: row["taken_by"] for row in await self._state.read(sql, given)}

    async def take_over(self, thread_id: str, takeover: Takeover, via: str) -> Session:
        """Give a conversation to a person, or back to the agents; durable when this returns.

        Who has it already keeps it, and what nobody has taken stays with the agents.

        Raises:
            NotFound: there is no such conversation.
            TakenOver: somebody else has it.
        """

        def work(connection: Connection) -> Session:
            session = _loaded(connection, thread_id)
            check_conversation(session)
            is_taken = takeover.state == "taken"
            if is_taken and session.taken_by not in (None, takeover.by):
                raise TakenOver(thread_id, str(session.taken_by))
            if is_taken == (session.taken_by is not None):
                return session
            # The note is what somebody wrote: it is kept in the event, which can be erased.
            kind = "taken_over" if is_taken else "handed_back"
            event_id = audit.append(connection, kind, actor=takeover.by, via=via, thread_id=thread_id)
            unrecorded = {**session.unrecorded_takeovers, event_id: takeover}
            rows = connection.execute(
                """UPDATE sessions SET taken_by = :by, taken_at = :at, last_active_at = :now,
                       unread_seq = COALESCE(unread_seq, last_seq), unrecorded_takeovers = :unrecorded
                   WHERE thread_id = :id RETURNING *""",
                {
                    "id": thread_id,
                    "by": takeover.by if is_taken else None,
                    "at": clock.rfc3339(clock.now()) if is_taken else None,
                    "now": clock.rfc3339(clock.now()),
                    "unrecorded": _as_json(unrecorded),
                },
            )
            return _session(rows[0])

        session = await self._state.transact(work, on=[on_thread(thread_id)])
        if thread_id in self._taken_by:
            self._taken_by[thread_id] = session.taken_by
        self.notify(thread_id)
        return session

    async def mark_seen(self, thread_id: str, seq: int) -> None:
        """Note that a person has seen a conversation up to a number, at most up to its last one."""
        rows = await self._state.execute(
            """UPDATE sessions SET seen_seq = CASE WHEN reserved_seq < :seq THEN reserved_seq ELSE :seq END
               WHERE thread_id = :id AND COALESCE(seen_seq, 0) < :seq AND COALESCE(seen_seq, 0) < reserved_seq
               RETURNING thread_id""",
            {"id": thread_id, "seq": seq},
        )
        if rows:
            self.notify(thread_id)

    async def mark_recorded(self, thread_id: str, event_ids: Iterable[str]) -> None:
        """Forget takeovers that are in the event log now."""

        def work(connection: Connection) -> None:
            left = dict(_loaded(connection, thread_id).unrecorded_takeovers)
            for event_id in event_ids:
                left.pop(event_id, None)
            connection.execute(
                "UPDATE sessions SET unrecorded_takeovers = :left WHERE thread_id = :id",
                {"id": thread_id, "left": _as_json(left) if left else None},
            )

        await self._state.transact(work, on=[on_thread(thread_id)])

    async def with_unrecorded_takeovers(self) -> list[Session]:
        """Sessions with takeovers that are not in the event log, because a crash came in between."""
        rows = await self._state.read("SELECT * FROM sessions WHERE unrecorded_takeovers IS NOT NULL")
        return [_session(row) for row in rows]

    async def mark_unread(self, thread_id: str, after_seq: int) -> None:
        """Note that the agents have not read what comes after a number, unless they are further behind."""
        await self._state.execute(
            "UPDATE sessions SET unread_seq = COALESCE(unread_seq, :seq) WHERE thread_id = :id",
            {"id": thread_id, "seq": after_seq},
        )

    async def mark_read(self, thread_id: str) -> None:
        """Note that the agents have read the whole conversation, unless a person has it."""
        await self._state.execute(
            "UPDATE sessions SET unread_seq = NULL WHERE thread_id = :id AND taken_by IS NULL",
            {"id": thread_id},
        )

    async def end_turn(
        self, thread_id: str, last_seq: int, customer_id: str | None, last_message: LastMessage | None = None
    ) -> None:
        """Mark a thread as at rest; its time to live starts again.

        Args:
            last_message: what was said last in the turn, if anything was.

        Raises:
            StorageFailed: another process has taken the turn over.
        """
        change = """turn_id = NULL, last_seq = :last_seq, reserved_seq = :last_seq, last_active_at = :now,
                    customer_id = COALESCE(:customer, customer_id)"""
        given: dict[str, Any] = {
            "last_seq": last_seq,
            "now": clock.rfc3339(clock.now()),
            "customer": customer_id,
        }
        if last_message:
            change, given = f"{change}, {_LAST_MESSAGE}", given | asdict(last_message)
        self._taken_by.pop(thread_id, None)
        await self._in_turn(thread_id, change, given)
        self.notify(thread_id)

    async def _in_turn(self, thread_id: str, change: str, params: dict[str, Any]) -> None:
        """Change a session whose turn this process still holds."""
        rows = await self._state.execute(
            f"""UPDATE sessions SET {change} WHERE thread_id = :id AND turn_holder = :holder
                RETURNING thread_id""",
            params | {"id": thread_id, "holder": self._holder},
        )
        if not rows:
            raise StorageFailed(f"thread {thread_id}: another process has taken this turn over")


def preview(text: str) -> str:
    """The start of a message on one line, as the inbox lists it."""
    return " ".join(text[: 2 * PREVIEW_CHARS].split())[:PREVIEW_CHARS]


def _check_owner(thread_id: str, session: Session | None, user: User) -> None:
    if user.role < Role.LEAD and session and session.owner != user.name:
        raise _not_owned(thread_id)


def _check_customer(
    thread_id: str, bound: VerifiedCustomer | None, user: User, customer: VerifiedCustomer | None
) -> None:
    if bound is None or (customer is None and user.role >= Role.LEAD):
        return
    if customer is None or customer.id != bound.id:
        raise CustomerMismatch(thread_id, is_missing=customer is None)


def _not_owned(thread_id: str) -> Forbidden:
    return Forbidden(f"thread {thread_id}: this conversation belongs to another user; start a new one")


def _loaded(connection: Connection, thread_id: str) -> Session:
    rows = connection.execute("SELECT * FROM sessions WHERE thread_id = :id", {"id": thread_id})
    if not rows:
        raise NotFound(f"thread {thread_id[:128]!r}: there is no such conversation; see GET /conversations")
    return _session(rows[0])


def _customer(row: Row) -> VerifiedCustomer | None:
    bound = row["bound_customer"]
    return VerifiedCustomer(bound, row["bound_name"], row["bound_email"]) if bound is not None else None


def _as_json(takeovers: Mapping[str, Takeover]) -> str:
    return orjson.dumps({event_id: events.payload(one) for event_id, one in takeovers.items()}).decode()


def _session(row: Row) -> Session:
    return Session(
        thread_id=row["thread_id"],
        customer_id=row["customer_id"],
        created_at=clock.parse(row["created_at"]),
        last_active_at=clock.parse(row["last_active_at"]),
        last_message_at=clock.parse(row["last_message_at"]),
        last_seq=row["last_seq"],
        reserved_seq=row["reserved_seq"],
        turn_id=row["turn_id"],
        turn_channel=row["turn_channel"],
        spoken_by=row["spoken_by"],
        owner=row["owner"],
        side_thread_id=row["aside"],
        stuck_checkpoint=row["stuck_checkpoint"],
        stuck_because=row["stuck_because"],
        taken_by=row["taken_by"],
        taken_at=row["taken_at"],
        unread_seq=row["unread_seq"],
        customer=_customer(row),
        caller=row["caller"],
        unrecorded_takeovers={
            event_id: Takeover(**values)
            for event_id, values in orjson.loads(row["unrecorded_takeovers"] or "{}").items()
        },
    )
