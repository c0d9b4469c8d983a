"""Reads the file of notification targets, `SMART_SUPPORT_NOTIFY_FILE`. Errors name file, line and the fix."""

import base64
import binascii
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import httpx
from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from smart_support.errors import ConfigError
from smart_support.observability.redaction import hide
from smart_support.yaml_lines import explain, read_yaml

Event = Literal["approval.requested", "approval.expiring", "approval.decided", "escalation.opened", "frozen"]
EVENTS: tuple[Event, ...] = get_args(Event)
Kind = Literal["webhook", "email", "slack"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SECRET_PREFIX = "whsec_"
_NAMED = "The file is named by SMART_SUPPORT_NOTIFY_FILE; docs/notifications.md explains every key."
_ADDRESS = re.compile(r"[^\s@<>(),;:\"\\]+@[^\s@<>(),;:\"\\]+")
_SECRET_BYTES = range(24, 65)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _web_address(value: str) -> str:
    try:
        url = httpx.URL(value)
        is_fit = url.scheme in ("http", "https") and bool(url.host) and not url.userinfo
    except (httpx.InvalidURL, ValueError):
        is_fit = False
    if not is_fit:
        raise ValueError(f"{value!r} is not an address like https://example.com/hook")
    return value


def _email_address(value: str) -> str:
    if not _ADDRESS.fullmatch(value):
        raise ValueError(f"{value!r} is not an address like lead@example.com")
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Target(_Part):
    name: Name
    events: Annotated[tuple[Event, ...], BeforeValidator(_as_list), Field(min_length=1)]
    agent: Annotated[tuple[Text, ...], BeforeValidator(_as_list)] = ()
    tool: Annotated[tuple[Text, ...], BeforeValidator(_as_list)] = ()
    risk: Annotated[tuple[Literal["low", "medium", "high"], ...], BeforeValidator(_as_list)] = ()
    group: Annotated[tuple[Text, ...], BeforeValidator(_as_list)] = ()
    details: bool = False


class WebhookSpec(_Target):
    """Signed POST requests as in Standard Webhooks. `secret_env`: names the variable with the secret."""

    type: Literal["webhook"]
    url: str
    secret_env: Variable

    _is_address = field_validator("url")(_web_address)


class EmailSpec(_Target):
    """Mails over SMTP. Each address in `to` gets a mail of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    type: Literal["email"]
    host: Host
    port: Annotated[int, Field(gt=0, lt=65536)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Text | None = None
    password_env: Variable | None = None
    sender: str = Field(alias="from")
    to: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]

    @field_validator("sender")
    @classmethod
    def _is_sender(cls, value: str) -> str:
        return _email_address(value)

    @field_validator("to")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(_email_address, value)))

    @model_validator(mode="after")
    def _password_is_safe(self) -> "EmailSpec":
        if (self.username is None) != (self.password_env is None):
            raise ValueError("give both username and password_env, or neither")
        if self.username and self.security == "none":
            raise ValueError("a password would be sent unencrypted; set security to starttls or tls")
        return self


class SlackSpec(_Target):
    """Messages in a channel, by an incoming webhook or by a bot, whose messages are updated later.

    Attributes:
        webhook_env: names the variable with the address of an incoming webhook.
        token_env: names the variable with a bot's token; `channel` is then the channel's id.
        api_url: of Slack's API; another one for GovSlack.
    """

    type: Literal["slack"]
    webhook_env: Variable | None = None
    token_env: Variable | None = None
    channel: Text | None = None
    api_url: str = "https://slack.com/api"

    _is_address = field_validator("api_url")(_web_address)

    @model_validator(mode="after")
    def _has_one_way(self) -> "SlackSpec":
        if (self.webhook_env is None) == (self.token_env is None):
            raise ValueError("give either webhook_env or token_env with channel")
        if (self.token_env is None) != (self.channel is None):
            raise ValueError("channel goes with token_env; an incoming webhook has its own channel")
        return self


Spec = Annotated[WebhookSpec | EmailSpec | SlackSpec, Field(discriminator="type")]


class _File(_Part):
    targets: Annotated[tuple[Spec, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Target:
    """Who gets which notifications, and how.

    Attributes:
        secret: the value of the variable that the file names: a webhook's secrets, a mail server's password,
            a bot's token, or the address of an incoming webhook. Empty where there is none.
    """

    spec: WebhookSpec | EmailSpec | SlackSpec
    secret: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Its name in the file."""
        return self.spec.name

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who gets a message each: the addresses of a mail, or one without a name."""
        return self.spec.to if isinstance(self.spec, EmailSpec) else ("",)

    @property
    def updates_messages(self) -> bool:
        """Whether a message can be changed after it was sent."""
        return isinstance(self.spec, SlackSpec) and self.spec.token_env is not None

    def takes(self, event: Event) -> bool:
        """Whether it gets this event, or needs it to update an earlier message."""
        is_update = event == "approval.decided" and self.updates_messages
        return event in self.spec.events or (is_update and bool({*self.spec.events} & _UPDATED))

    def takes_approval(self, *, agent: str, tool: str, risk: str, groups: Collection[str]) -> bool:
        """Whether an approval passes its filters; an empty filter lets everything pass."""
        spec = self.spec
        return (
            (not spec.agent or agent in spec.agent)
            and (not spec.tool or tool in spec.tool)
            and (not spec.risk or risk in spec.risk)
            and (not spec.group or not {*spec.group}.isdisjoint(groups))
        )


_UPDATED = {"approval.requested", "approval.expiring"}


def load_targets(path: Path, environment: Mapping[str, str | None] | None = None) -> tuple[Target, ...]:
    """Read the file of targets, and their secrets from the environment or `.env`.

    Raises:
        ConfigError: something in it is wrong, or a variable is missing: file, line and what to do.
    """
    given = environment if environment is not None else {**dotenv_values(".env"), **os.environ}
    root, content = read_yaml(path, "SMART_SUPPORT_NOTIFY_FILE", _NAMED)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}:1: is empty or no mapping; it begins with targets.\n{_NAMED}")
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        problems = [explain(path, root, _place(item["loc"]), _problem(item)) for item in error.errors()]
        raise ConfigError("\n".join([*problems, _NAMED])) from None
    targets: list[Target] = []
    for number, spec in enumerate(file.targets):
        place = ("targets", number)
        if spec.name in {one.name for one in targets}:
            problem = f"{spec.name!r} is there twice; rename one of the two"
            raise ConfigError(explain(path, root, (*place, "name"), problem))
        try:
            targets.append(Target(spec, _secret(spec, given)))
        except _Unfit as unfit:
            problem = f"{unfit.variable}: {unfit}\n{_NAMED}"
            raise ConfigError(explain(path, root, (*place, unfit.key), problem)) from None
    return tuple(targets)


def unknown_names(
    targets: Iterable[Target], *, agents: Collection[str], tools: Collection[str], groups: Collection[str]
) -> list[str]:
    """A sentence for each name in the filters that no approval can have now, and what to do.

    Args:
        groups: those that a rule of the policy, or a caller, requires the approval of.
    """
    known: dict[str, tuple[Collection[str], str]] = {
        "agent": (agents, "no agent or caller has this name"),
        "tool": (tools, "no tool has this name yet"),
        "group": (groups, "no rule or caller of the agents file has it as approvers"),
    }
    return [
        f"target {target.name!r}: {key}: {name!r}: {problem}; correct it, or nothing is sent for it"
        for target in targets
        for key, (names, problem) in known.items()
        for name in getattr(target.spec, key)
        if name not in names
    ]


class _Unfit(Exception):
    def __init__(self, key: str, variable: str, problem: str) -> None:
        super().__init__(problem)
        self.key, self.variable = key, variable


def _secret(spec: WebhookSpec | EmailSpec | SlackSpec, environment: Mapping[str, str | None]) -> str:
    """The value of the variable that a target names.

    Raises:
        _Unfit: it is missing or can't be used; the message does not contain it.
    """
    keys = [name for name in type(spec).model_fields if name.endswith("_env") and getattr(spec, name)]
    if not keys:
        return ""
    (key,) = keys
    variable = str(getattr(spec, key))
    secret = (environment.get(variable) or "").strip()
    if not secret:
        raise _Unfit(key, variable, "is not set in the environment; set it, or correct the name")
    for part in secret.split() if key == "secret_env" else [secret]:
        hide(part)
        hide(part.removeprefix(SECRET_PREFIX))
    if not secret.isprintable() or not secret.isascii():
        raise _Unfit(key, variable, "contains characters that can't be sent")
    if key == "secret_env" and not all(_is_webhook_secret(one) for one in secret.split()):
        raise _Unfit(
            key,
            variable,
            f"is not {SECRET_PREFIX} and 24 to 64 bytes in base64; make one with: "
            f'echo "{SECRET_PREFIX}$(openssl rand -base64 32)"',
        )
    if key == "webhook_env":
        try:
            _web_address(secret)
        except ValueError:
            raise _Unfit(key, variable, "is not an address like https://hooks.slack.com/...") from None
    return secret


def _is_webhook_secret(text: str) -> bool:
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return False
    return text.startswith(SECRET_PREFIX) and len(key) in _SECRET_BYTES


def _place(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The place without the kind of target, which pydantic puts after its number."""
    return tuple(part for number, part in enumerate(place) if not (number == 2 and part in KINDS))


def _problem(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such key; remove it, or correct its name"
    if item["type"] == "missing":
        return "is missing; add it"
    if item["type"].startswith("union_tag"):
        return f"type: give one of {', '.join(KINDS)}"
    return str(item["msg"]).removeprefix("Value error, ")
