"""`/ws`: receives frames and sends events. An invalid frame is answered with an error and closes nothing."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import orjson
from anyio.abc import TaskGroup
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from smart_support.approvals.approval import Approval
from smart_support.approvals.decision import DecisionInput, reason_or_answer
from smart_support.approvals.freezes import Freeze
from smart_support.approvals.reader import SORTS, ApprovalFilter
from smart_support.conversation.inbox import InboxChange
from smart_support.conversation.limits import checked_thread_id
from smart_support.conversation.turn_runner import MESSAGE_ID
from smart_support.errors import (
    CustomerMismatch,
    InvalidJson,
    InvalidRequest,
    SmartSupportError,
    TooLarge,
    UnknownType,
)
from smart_support.escalations.escalations import EscalationRecord
from smart_support.events import Shown
from smart_support.identity.customer_tokens import VerifiedCustomer
from smart_support.identity.users import Role, User
from smart_support.observability.log import get_logger
from smart_support.services import Services

log = get_logger()
router = APIRouter()
# What is kept for a client that does not take it: a number of messages, and of characters.
MAX_UNSENT, MAX_UNSENT_CHARS = 50_000, 16_000_000
# Stored events are read as fast as the client takes them, so that a long thread is not too much.
CHARS_AHEAD = 1_000_000
# An extension of ASGI that our server has: text messages to be sent before the one of a `websocket.send`.
TEXTS = "smart_support.texts"
# What is given to the server in one go, as one message for each frame would cost more than the frame.
MAX_CHARS_AT_ONCE = 16_000
RECENTLY_DECIDED = 10
MAX_PENDING = 1000
TRY_AGAIN_LATER = 1013
SERVICE_RESTART = 1012
SECONDS_TO_SEND = 3
INTERNAL_ERROR = "Internal error; nothing was lost. Please try again."


@router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    """Serve a client with any number of threads."""
    await websocket.accept()
    await Connection(websocket, websocket.app.state.services, websocket.state.user).serve()


class _ThreadListener:
    """Puts the events of a thread into the outbox."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send

    def put(self, shown: Shown | None) -> None:
        if shown is not None:
            self._send(shown.wire())


class Connection:
    def __init__(self, websocket: WebSocket, services: Services, user: User) -> None:
        self._socket = websocket
        self._user = user
        self._services = services
        self._channel = _channel(websocket)
        self._outbox: deque[str] = deque()
        self._unsent_chars = 0
        self._filled = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._listeners: dict[str, _ThreadListener] = {}
        # Runs everything of this socket besides reading frames.
        self._tasks: TaskGroup | None = None
        self._overflowed = asyncio.Event()
        self._resumed: dict[str, anyio.CancelScope] = {}
        # The threads for whose customer this socket has sent a valid token.
        self._vouched: set[str] = set()
        self._unsubscribers: tuple[Callable[[], None], ...] = ()
        self._leave_bindings = services.session_manager.subscribe_to_bindings(self._thread_bound)
        self._leave_inbox: Callable[[], None] | None = None
        self._unsubscribe_freezes: Callable[[], None] | None = None
        self._frames: dict[Any, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "message": self._message,
            "interrupt_response": self._interrupt_response,
            "resume": self._resume,
            "ping": self._ping,
            "leave": self._leave,
            "watch_approvals": self._subscribe,
            "watch_conversations": self._follow_inbox,
            "watch_freezes": self._subscribe_to_freezes,
        }

    async def serve(self) -> None:
        """Read frames and send events until the client disconnects."""
        self._services.sockets.add(self)
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._write)
                self._tasks.start_soon(self._close_when_overflowed)
                await self._read()
                self._tasks.cancel_scope.cancel()
        finally:
            self._services.sockets.discard(self)
            self._detach()

    async def send_away(self) -> None:
        """Send what is in the outbox, then close, because the process is shutting down."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(SECONDS_TO_SEND):
                await self._all_sent.wait()
                await self._socket.close(SERVICE_RESTART, "restarting")

    async def _read(self) -> None:
        while True:
            try:
                received = await self._socket.receive()
            except RuntimeError:  # closed by this side, and its disconnect was already read
                return
            if received["type"] == "websocket.disconnect":
                return
            raw = received.get("text")
            await self._take(raw if raw is not None else received.get("bytes") or b"")

    async def _write(self) -> None:
        assert self._tasks
        takes_several = TEXTS in self._socket.scope.get("extensions", {})
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                while self._outbox:
                    texts = self._take_unsent(MAX_CHARS_AT_ONCE if takes_several else 0)
                    message = {"type": "websocket.send", "text": texts.pop()}
                    await self._socket.send(message | {TEXTS: texts} if texts else message)
                self._filled.clear()
                self._all_sent.set()
                await self._filled.wait()
        self._tasks.cancel_scope.cancel()

    def _take_unsent(self, most_chars: int) -> list[str]:
        """The first messages of the outbox: at least one, and no more once they have so many characters."""
        texts: list[str] = []
        chars = 0
        while self._outbox and (chars < most_chars or not texts):
            texts.append(self._outbox.popleft())
            chars += len(texts[-1])
        self._unsent_chars -= chars
        return texts

    async def _close_when_overflowed(self) -> None:
        """Close the socket of a client that does not keep up; it can reconnect and resume."""
        assert self._tasks
        await self._overflowed.wait()
        with anyio.move_on_after(SECONDS_TO_SEND), contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(TRY_AGAIN_LATER)
        self._tasks.cancel_scope.cancel()

    def _send(self, text: str) -> None:
        # One message may be larger than the limit by itself.
        is_full = self._outbox and self._unsent_chars + len(text) > MAX_UNSENT_CHARS
        if is_full or len(self._outbox) >= MAX_UNSENT:
            self._detach()
            self._outbox.clear()
            self._unsent_chars = 0
            self._overflowed.set()
            return
        self._outbox.append(text)
        self._unsent_chars += len(text)
        self._all_sent.clear()
        self._filled.set()

    def _send_object(self, value: dict[str, Any]) -> None:
        self._send(orjson.dumps(value).decode())

    async def _take(self, raw: str | bytes) -> None:
        frame: dict[str, Any] = {}
        try:
            frame = self._parsed(raw)
            await self._handler(frame)(frame)
        except SmartSupportError as error:
            self._send_object(_error(frame, error.code, error.message))
        except Exception as error:
            log.error("frame_failed", error=repr(error), exc_info=error)
            self._send_object(_error(frame, "internal_error", INTERNAL_ERROR))

    def _parsed(self, raw: str | bytes) -> dict[str, Any]:
        encoded = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        limit = self._services.settings.max_frame_bytes
        if len(encoded) > limit:
            raise TooLarge(f"Frame too large: {len(encoded)} bytes; at most {limit}.")
        try:
            frame = orjson.loads(encoded)
        except orjson.JSONDecodeError as error:
            raise InvalidJson(f"Invalid JSON: {error}") from None
        if not isinstance(frame, dict):
            raise InvalidJson('Invalid JSON: a frame is one object, such as {"type": "ping"}.')
        return frame

    def _handler(self, frame: dict[str, Any]) -> Callable[[dict[str, Any]], Awaitable[None]]:
        type_ = frame.get("type")
        if not isinstance(type_, str) or type_ not in self._frames:
            known = ", ".join(self._frames)
            raise UnknownType(f"Unknown type {str(type_)[:100]!r}; send one of {known}.")
        return self._frames[type_]

    async def _ping(self, frame: dict[str, Any]) -> None:
        self._send_object({"type": "pong"})

    async def _message(self, frame: dict[str, Any]) -> None:
        thread_id = checked_thread_id(frame.get("thread_id"))
        content: Any = frame.get("content")
        message_id: Any = frame.get("message_id")
        turns = self._services.turns
        customer = self._services.customer_tokens.verified(frame.get("customer_token"), thread_id)
        sent: dict[str, Any] = {
            "channel": self._channel,
            "by": self._user,
            "customer": customer,
            "connection": self,
        }
        with self._vouching(thread_id, customer):
            if message_id is None:
                await turns.submit(thread_id, content, **sent)
            else:
                is_recorded = await turns.submit_once(thread_id, content, message_id=message_id, **sent)
                accepted = {"thread_id": thread_id, "message_id": message_id, "recorded": is_recorded}
                if not is_recorded and turns.places.are_taken:
                    accepted["waiting"] = True
                self._send_object({"type": "message_accepted", **accepted})
        # Attach only after the message is accepted: until then the thread may belong to somebody else.
        self._attach(thread_id)
        if not customer:
            await self._check_still_open(thread_id)

    async def _interrupt_response(self, frame: dict[str, Any]) -> None:
        self._user.must_be(Role.LEAD)
        thread_id = checked_thread_id(frame.get("thread_id"))
        interrupt_id = frame.get("interrupt_id")
        if interrupt_id is not None and not isinstance(interrupt_id, str):
            raise InvalidRequest("interrupt_id: give text")
        name = _decision_in(frame)
        reason = reason_or_answer(name, frame.get("reason"), frame.get("message"))
        decision = DecisionInput(
            name, decided_by=self._user.name, via="socket", reason=reason, args=frame.get("args")
        )
        approval = await self._services.turns.pending_approval(thread_id, interrupt_id)
        self._attach(thread_id)
        decided = await self._services.turns.decide(approval.approval_id, decision)
        if decided.status == "pending":
            # A second lead has to approve, which no event of the thread reports.
            self._approval_changed(decided)

    async def _resume(self, frame: dict[str, Any]) -> None:
        thread_id = checked_thread_id(frame.get("thread_id"))
        after = frame.get("after", 0)
        if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 2**53:
            raise InvalidRequest("after: give the last seq you saw, a whole number from 0")
        customer = self._services.customer_tokens.verified(frame.get("customer_token"), thread_id)
        sessions = self._services.session_manager
        await sessions.check_owner(thread_id, self._user)
        await sessions.check_customer(thread_id, self._user, customer)
        with self._vouching(thread_id, customer):
            if customer and await sessions.load(thread_id):
                await sessions.bind_customer(thread_id, customer)
        self._detach_thread(thread_id)
        scope = self._resumed[thread_id] = anyio.CancelScope()
        assert self._tasks
        self._tasks.start_soon(self._catch_up, thread_id, after, customer, scope)

    async def _catch_up(
        self, thread_id: str, after: int, customer: VerifiedCustomer | None, scope: anyio.CancelScope
    ) -> None:
        with scope:
            try:
                await self._show_from(thread_id, after, customer)
            except SmartSupportError as error:
                self._send_object(_error({"thread_id": thread_id}, error.code, error.message))
            except Exception as error:
                log.error("resume_failed", thread_id=thread_id, error=repr(error), exc_info=error)
                self._send_object(_error({"thread_id": thread_id}, "internal_error", INTERNAL_ERROR))

    async def _show_from(self, thread_id: str, after: int, customer: VerifiedCustomer | None) -> None:
        broadcast = self._services.broadcast
        listener = broadcast.listen(thread_id)
        is_checked = False
        try:
            async for shown in broadcast.caught_up(thread_id, after, listener):
                if shown is None:
                    continue
                if not is_checked:
                    # The thread may have got an owner and a customer since it was requested.
                    await self._services.session_manager.check_owner(thread_id, self._user)
                    await self._services.session_manager.check_customer(thread_id, self._user, customer)
                    is_checked = True
                self._send(shown.wire())
                if self._unsent_chars > CHARS_AHEAD:
                    await self._all_sent.wait()
        finally:
            broadcast.leave(thread_id, listener)

    async def _subscribe(self, frame: dict[str, Any]) -> None:
        self._user.must_be(Role.LEAD)
        if not self._unsubscribers:
            self._unsubscribers = (
                self._services.approvals.subscribe(self._approval_changed),
                self._services.escalations.subscribe(self._escalation_changed),
            )
        # If there are more than fit, these are the first in the order in which the client shows them.
        sort = frame.get("sort", "oldest")
        if sort not in SORTS:
            raise InvalidRequest(f"sort: give one of {', '.join(SORTS)}")
        query = ApprovalFilter(status="pending", sort=sort, limit=MAX_PENDING)
        pending, more = await self._services.approvals.find(query)
        recent = await self._services.approvals.recently_decided(RECENTLY_DECIDED)
        items = [approval.wire() for approval in (*pending, *recent)]
        self._send_object({"type": "approvals", "items": items, "more": more is not None})
        escalations = [one.wire() for one in await self._services.escalations.list(open_only=True)]
        self._send_object({"type": "escalations", "items": escalations})

    async def _follow_inbox(self, frame: dict[str, Any]) -> None:
        """Send conversations that change from now on; operators are sent their own."""
        if self._leave_inbox is None:
            self._leave_inbox = self._services.inbox.subscribe(self._conversations_changed)

    def _conversations_changed(self, change: InboxChange) -> None:
        if part := change.for_user(self._user):
            self._send_object({"type": "conversations", **part})

    async def _leave(self, frame: dict[str, Any]) -> None:
        """Send no more events of a thread."""
        self._detach_thread(checked_thread_id(frame.get("thread_id")))

    async def _subscribe_to_freezes(self, frame: dict[str, Any]) -> None:
        freezes = self._services.freezes
        self._unsubscribe_freezes = self._unsubscribe_freezes or freezes.subscribe(self._freezes_changed)
        self._freezes_changed(await freezes.in_effect())

    def _freezes_changed(self, freezes: list[Freeze]) -> None:
        self._send_object({"type": "freezes", "items": [one.wire() for one in freezes]})

    def _escalation_changed(self, recorded: EscalationRecord) -> None:
        self._send_object({"type": "escalation_record", "escalation": recorded.wire()})

    def _approval_changed(self, approval: Approval) -> None:
        self._send_object({"type": "approval", "approval": approval.wire()})

    def _attach(self, thread_id: str) -> None:
        """Send the events of a thread from now on."""
        if thread_id not in self._listeners and thread_id not in self._resumed:
            self._listeners[thread_id] = _ThreadListener(self._send)
            self._services.broadcast.attach(thread_id, self._listeners[thread_id])

    @contextlib.contextmanager
    def _vouching(self, thread_id: str, customer: VerifiedCustomer | None) -> Iterator[None]:
        """Let this socket follow a thread when it is bound to the customer whose token it has sent."""
        if customer:
            self._vouched.add(thread_id)
        try:
            yield
        except CustomerMismatch:
            self._vouched.discard(thread_id)
            raise

    async def _check_still_open(self, thread_id: str) -> None:
        """Check that a thread was not bound to a customer while its listener was attached.

        Raises:
            CustomerMismatch: it was, and no events of it are sent any more.
        """
        try:
            await self._services.session_manager.check_customer(thread_id, self._user, None)
        except CustomerMismatch:
            self._detach_thread(thread_id)
            raise

    def _thread_bound(self, thread_id: str) -> None:
        """Send no more of a thread that belongs to a customer now, unless this socket may follow it."""
        is_followed = thread_id in self._listeners or thread_id in self._resumed
        if not is_followed or thread_id in self._vouched or self._user.role >= Role.LEAD:
            return
        self._detach_thread(thread_id)
        error = CustomerMismatch(thread_id, is_missing=True)
        self._send_object(_error({"thread_id": thread_id}, error.code, error.message))

    def _detach_thread(self, thread_id: str) -> None:
        if listener := self._listeners.pop(thread_id, None):
            self._services.broadcast.leave(thread_id, listener)
        if scope := self._resumed.pop(thread_id, None):
            scope.cancel()

    def _detach(self) -> None:
        for thread_id in [*self._listeners, *self._resumed]:
            self._detach_thread(thread_id)
        for stop in self._unsubscribers:
            stop()
        self._unsubscribers = ()
        self._leave_bindings()
        if self._leave_inbox:
            self._leave_inbox()
            self._leave_inbox = None
        if self._unsubscribe_freezes:
            self._unsubscribe_freezes()
            self._unsubscribe_freezes = None


def _channel(websocket: WebSocket) -> str:
    """`console` for the socket of the console itself, which sends no API key; else `socket`."""
    query = websocket.query_params
    has_key = "x-api-key" in websocket.headers or "token" in query
    return "console" if query.get("door") == "console" and not has_key else "socket"


def _decision_in(frame: dict[str, Any]) -> str:
    """The decision of an `interrupt_response`: its `decision`, or `approved` with or without `args`."""
    approved, decision = frame.get("approved"), frame.get("decision")
    if decision is None:
        if not isinstance(approved, bool):
            raise InvalidRequest("approved: give true or false")
        return "reject" if not approved else "approve" if frame.get("args") is None else "edit"
    agrees = decision == "respond" or approved is (decision in ("approve", "edit"))
    if approved is not None and not agrees:
        raise InvalidRequest("approved: does not agree with 'decision'; give one of them")
    return str(decision)


def _error(frame: dict[str, Any], code: str, message: str) -> dict[str, Any]:
    answer = {"type": "error", "code": code, "message": message}
    thread_id, message_id = frame.get("thread_id"), frame.get("message_id")
    if isinstance(message_id, str) and MESSAGE_ID.fullmatch(message_id):
        answer["message_id"] = message_id
    with contextlib.suppress(SmartSupportError):
        answer["thread_id"] = checked_thread_id(thread_id)
    return answer
