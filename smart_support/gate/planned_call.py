"""The exact call that an approval is given for, and that runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import orjson

from smart_support.approvals.digest import digest

MAX_ARGUMENT_BYTES = 20_000
# What a person's edit replaces.
EDITED_FIELDS = ("args", "summary", "customer_id", "effect", "facts")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """One tool call: what the gate let through, what an approval stores, and what runs.

    Attributes:
        agent: the caller's name.
        caller: the same name where the caller is an API client; None for an agent of ours.
        summary: one sentence for the approval card.
        risk: `low`, `medium` or `high`.
        tool_version: None for a tool that this system does not know, as in a graph given to `create_app`.
        need: what the policy requires for a write (`run`, `ask`, `two_leads` or `never`), with the reason of
            the rule in `because`; None for a read.
        escalate: where the policy forbids the call, a human is notified.
        approvers: the groups of users of each of which somebody must approve; empty where any lead may.
        expires_after: how many seconds the rule leaves for the decision; None for the usual time.
        on_expiry: what becomes of it where nobody decides: `reject`, or `escalate` to a human as well.
        facts: what the policy judged.
        customer_id: whose data the arguments name.
        effect: what will change, as lines `{"subject", "field", "before", "after"}`, computed on a copy.
        seen: the state that the card was built on; None where the tool does not report one.
        seen_of: the arguments that `seen` belongs to, where a person has edited them since.
        changed: the differences since an earlier approval, where they are why the call needs a new one.
        target: where the call goes, as its card shows it: `{"method", "server", "path"}`.
        definition: the tool's at this version; approvals don't store it.
    """

    tool_call_id: str
    tool: str
    args: Mapping[str, Any]
    agent: str
    caller: str | None = None
    summary: str
    risk: str = "medium"
    tool_version: str | None = None
    need: str | None = None
    because: str | None = None
    escalate: bool = False
    approvers: Sequence[str] = ()
    expires_after: int | None = None
    on_expiry: str | None = None
    facts: Mapping[str, Any] | None = None
    customer_id: str | None = None
    effect: list[dict[str, str]] | None = None
    seen: dict[str, Any] | None = None
    seen_of: Mapping[str, Any] | None = None
    changed: list[dict[str, str]] | None = None
    target: dict[str, str] | None = None
    definition: dict[str, str] | None = None

    @property
    def needs_approval(self) -> bool:
        """Whether a human decides before the call runs."""
        return self.need in ("ask", "two_leads")

    @property
    def needs_several(self) -> bool:
        """Whether several people may have to approve it, all of whom must see the same call."""
        return self.need == "two_leads" or len(self.approvers) > 1

    @property
    def state_args(self) -> Mapping[str, Any]:
        """The arguments that `seen` belongs to."""
        return self.args if self.seen_of is None else self.seen_of

    def digest(self, thread_id: str) -> str:
        """The digest of everything that decides what the call does; see `approvals.digest`.

        Raises:
            InvalidArguments: the arguments have no exact JSON form.
        """
        return digest(
            tool=self.tool,
            version=self.tool_version,
            args=self.args,
            thread_id=thread_id,
            customer_id=self.customer_id,
        )

    def edited(self, edit: Mapping[str, Any]) -> "PlannedCall":
        """The call with those of `EDITED_FIELDS` that a person's edit gives.

        `seen` stays what the person saw, so that a change of it between then and the execution is noticed.
        """
        given = {name: edit[name] for name in EDITED_FIELDS if name in edit}
        return replace(self, **given, seen_of=self.state_args)

    def edited_fields(self) -> dict[str, Any]:
        """The values of `EDITED_FIELDS`, by name."""
        return {name: getattr(self, name) for name in EDITED_FIELDS}

    def state(self) -> dict[str, Any]:
        """The call as a checkpoint stores it."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "PlannedCall":
        """The call that `state` stored.

        Checkpoints from before there was a policy have `ask` in place of `need`.
        """
        known = {item.name for item in fields(cls)}
        need = {"need": "ask"} if state.get("ask") else {}
        return cls(**need | {name: value for name, value in state.items() if name in known})


def is_storable(args: Any) -> bool:
    """Whether arguments can be stored exactly: JSON of at most `MAX_ARGUMENT_BYTES`, integers of 64 bits."""
    try:
        return len(orjson.dumps(args)) <= MAX_ARGUMENT_BYTES
    except (TypeError, orjson.JSONEncodeError):
        return False
