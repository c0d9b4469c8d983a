"""The six public functions of the Gradio API, for `gradio_client` and `/gradio_api/call/*`.

They use the same services as REST. A streamed answer is sent in few steps, each with the whole reply so far.
"""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from pages.current_user import current_user
from pages.function_errors import with_clear_errors
from smart_support import clock
from smart_support.approvals.decision import DecisionInput
from smart_support.conversation.batching import batches
from smart_support.conversation.response import Reply
from smart_support.errors import SmartSupportError
from smart_support.identity.users import Role, User
from smart_support.services import Services

SECONDS_BETWEEN_STEPS = 0.1
# Gradio passes the request; the default keeps the parameter out of the public signature.
_FROM_GRADIO: Any = None


def add_api(services: Services) -> None:
    """Register the functions; call it inside the console's Blocks."""

    def lead(request: gr.Request) -> User:
        user = current_user(services, request)
        user.must_be(Role.LEAD)
        return user

    async def chat(
        message: str, thread_id: str = "", customer_token: str = "", request: gr.Request = _FROM_GRADIO
    ) -> AsyncIterator[dict[str, Any]]:
        """Send a message to a conversation; an empty thread_id starts a new one. The last object is final."""
        reply = Reply(clock.new_id() if thread_id in ("", None) else thread_id)
        try:
            user = current_user(services, request)
            customer = services.customer_tokens.verified(customer_token, reply.thread_id)
            events = services.turns.submit_and_follow_in_lists(
                reply.thread_id, message, channel="gradio", by=user, customer=customer
            )
            async for step in batches(events, SECONDS_BETWEEN_STEPS):
                for shown in step:
                    reply.add(shown)
                if reply.status == "streaming":
                    yield reply.as_dict()
        except SmartSupportError as error:
            reply.fail(error)
        approval = await services.approvals.get(reply.approval_id) if reply.approval_id else None
        yield reply.as_dict(approval.wire() if approval else None)

    async def pending_approvals(request: gr.Request = _FROM_GRADIO) -> list[dict[str, Any]]:
        """Pending approvals, the newest first."""
        lead(request)
        return [approval.wire() for approval in await services.approvals.list("pending", limit=1000)]

    async def decide(
        approval_id: str,
        decision: str,
        reason: str = "",
        args: dict[str, Any] | None = None,
        request: gr.Request = _FROM_GRADIO,
    ) -> dict[str, Any]:
        """Approve, reject, edit (runs args instead) or respond (reason is the answer); waits for the turn."""
        user = lead(request)
        made = DecisionInput(decision, decided_by=user.name, via="gradio", reason=reason or None, args=args)
        reply = Reply((await services.approvals.get(approval_id)).thread_id)
        async for shown in services.turns.decide_and_follow(approval_id, made):
            reply.add(shown)
        approval = await services.approvals.get(approval_id)
        return {"approval": approval.wire(), "reply": reply.text}

    async def conversations(
        status: str = "",
        agent: str = "",
        outcome: str = "",
        q: str = "",
        since: str = "",
        until: str = "",
        limit: int = 50,
        cursor: str = "",
        request: gr.Request = _FROM_GRADIO,
    ) -> list[dict[str, Any]]:
        """Recorded conversations (an operator's own), the newest first; empty text is no filter."""
        given = {"status": status, "agent": agent, "outcome": outcome, "q": q, "since": since, "until": until}
        user = current_user(services, request)
        filters: dict[str, Any] = {name: value or None for name, value in given.items()}
        filters["only"] = None if user.role >= Role.LEAD else await services.session_manager.owned(user)
        page, _ = await services.metrics.conversations(**filters, limit=limit, cursor=cursor or None)
        return page

    async def replay(
        thread_id: str, after: int = 0, limit: int = 200, request: gr.Request = _FROM_GRADIO
    ) -> list[dict[str, Any]]:
        """A conversation's recorded steps, in order."""
        user = current_user(services, request)
        await services.session_manager.check_owner(thread_id, user, must_exist=True)
        return await services.replay.steps(thread_id, after, limit)

    async def analytics(
        range: str = "7d", since: str = "", until: str = "", request: gr.Request = _FROM_GRADIO
    ) -> dict[str, Any]:
        """Metrics of a range (24h, 7d, 30d, 90d, all), or from since to until."""
        lead(request)
        return await services.metrics.analytics(range, since or None, until or None)

    for function in (chat, pending_approvals, decide, conversations, replay, analytics):
        # `chat` answers a wrong type as it answers every error: in its last object.
        listed = with_clear_errors(function, types=function is not chat)
        gr.api(listed, api_name=function.__name__, concurrency_limit=None)
