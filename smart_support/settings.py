"""Settings from the environment or `.env`, prefix `SMART_SUPPORT_`. Errors name the variable and the fix."""

import difflib
import ipaddress
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from smart_support.errors import ConfigError
from smart_support.observability.redaction import hide, hide_address, redacted

ROOT = Path(__file__).parent.parent
TEMPLATES = ROOT / "data" / "templates"
PREFIX = "SMART_SUPPORT_"
# Variables that commands read and the app does not.
OTHERS = {"KEY"}
# Estimated minutes that a tool call saves a person; `*` is for tools that are not named.
MINUTES_SAVED = {"*": 3.0}
# Never logged or stored, and checked for characters that can't be sent in a header.
SECRETS = frozenset(
    {
        "api_keys",
        "database_url",
        "oidc_client_secret",
        "escalation_webhook_secret",
        "fallback_api_key",
        "secret_key",
    }
)
# What the paths of the app begin with. A sub-path that begins the same could not be told from them.
OWN_PATHS = frozenset(
    {"api", "assets", "config", "console", "decide", "gradio_api", "login", "logout", "static"}
    | {"svelte", "ws"}
)
# The provider of models behind an OpenAI-compatible API. Every other one has a package of LangChain.
OPENAI = "openai"
TokenLimit = Literal["max_completion_tokens", "max_tokens", "none"]
Profile = Literal[
    "anthropic",
    "cerebras",
    "compatible",
    "deepseek",
    "fireworks",
    "gemini",
    "groq",
    "llamacpp",
    "local",
    "mistral",
    "ollama",
    "openai",
    "openai_responses",
    "openrouter",
    "together",
    "vllm",
    "xai",
]
_MODEL = re.compile(r"[a-z][a-z0-9_]*:\S+")
_ADDRESS = r"https?://[^\s/@]+(/\S*)?"


class Settings(BaseSettings):
    """All settings. In code, `Settings(...)` takes the variables' names in lower case, without the prefix.

    Raises:
        ConfigError: a value is out of range or two settings contradict each other.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(7860, ge=0, le=65535)
    root_path: str = ""
    public_url: str = ""
    data_dir: Path = Path("data/var")
    model: str = "demo"
    model_profile: Profile | Literal[""] = ""
    model_temperature: float | None = Field(None, ge=0, le=2)
    model_token_limit: TokenLimit | Literal[""] = ""
    model_timeout_seconds: float = Field(30, gt=0, le=600)
    model_answer_tokens: int = Field(4000, ge=16)
    model_context_tokens: int = Field(32_000, ge=1000)
    fallback_model: str = ""
    fallback_base_url: str = ""
    fallback_api_key: str = ""
    fallback_profile: Profile | Literal[""] = ""
    fallback_seconds: float = Field(60, ge=0)
    agents_file: Path | None = None
    template: Literal["e-commerce", "saas", "fintech"] = "e-commerce"
    session_ttl_seconds: float = Field(1800, ge=0)
    keep_days: float = Field(0, ge=0)
    approval_ttl_seconds: float = Field(1800, gt=0)
    undo_seconds: float = Field(5, ge=0, le=60)
    max_frame_bytes: int = Field(32_768, ge=1024)
    max_content_chars: int = Field(10_000, ge=1)
    max_connections: int = Field(4000, ge=1)
    client_timeout_seconds: float = Field(20, gt=0, le=3600)
    rate_limit: str = "10/10s"
    max_turns: int = Field(200, ge=1)
    turn_wait_seconds: float = Field(30, gt=0, le=3600)
    database_url: str = ""
    secret_key: str = ""
    escalation_webhook_url: str = ""
    escalation_webhook_secret: str = ""
    notify_file: Path | None = None
    customer_token_key: str = ""
    customer_token_audience: str = ""
    allowed_hosts: str = ""
    mcp_wait_seconds: float = Field(50, ge=0, le=600)
    mcp_servers: dict[str, list[str]] = Field(default_factory=dict)
    tool_timeout_seconds: float = Field(25, gt=0, le=600)
    graph_timeout_seconds: float = Field(300, gt=0, le=86_400)
    model_prices: dict[str, tuple[float, float]] = Field(default_factory=dict)
    budget_usd_per_conversation: float = Field(0, ge=0)
    budget_usd_per_day: float = Field(0, ge=0)
    budget_tokens_per_conversation: int = Field(0, ge=0)
    budget_tokens_per_day: int = Field(0, ge=0)
    minutes_saved: dict[str, float] = Field(default_factory=lambda: dict(MINUTES_SAVED))
    max_spec_bytes: int = Field(20_000_000, ge=1024)
    users_file: Path | None = None
    api_keys: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_role_claim: str = "groups"
    oidc_roles: str = ""
    oidc_scopes: str = ""
    oidc_login_seconds: float = Field(3600, ge=60, le=43_200)
    trusted_proxies: str = ""
    shutdown_seconds: float = Field(10, ge=0, le=3600)
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = "\n".join(_explain(item) for item in error.errors())
            raise ConfigError(redacted(problems)) from None
        except SettingsError as error:
            named = re.search(r'field "(\w+)"', str(error))
            variable = PREFIX + (named[1].upper() if named else "...")
            raise ConfigError(f"{variable}: is not JSON; see docs/settings.md for its format") from None

    def model_post_init(self, _context: Any, /) -> None:
        """Register secrets with the log, which hides them."""
        for name in SECRETS - {"database_url"}:
            hide(getattr(self, name))
        for entry in self.api_keys.split(","):
            hide(entry.rpartition(":")[2].strip())
        if "-----BEGIN" not in self.customer_token_key:
            hide(self.customer_token_key)
        hide_address(self.database_url)

    @field_validator(*sorted(SECRETS), mode="before")
    @classmethod
    def _can_be_sent(cls, value: Any) -> Any:
        _check_secret(value)
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _some_folder(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("is empty; set a folder, or remove the variable")
        return value

    @field_validator("data_dir")
    @classmethod
    def _folder_for_duckdb(cls, value: Path) -> Path:
        # DuckDB puts the ".wal" of its log in front of the first "?" of the whole path, into another folder.
        if "?" in str(value.resolve()):
            raise ValueError(
                f"{str(value.resolve())!r} contains '?', which DuckDB can't use; choose another folder"
            )
        return value

    @field_validator("root_path")
    @classmethod
    def _sub_path(cls, value: str) -> str:
        path = value.rstrip("/")
        if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+", path):
            raise ValueError(f"{value!r} is not a path like /support")
        if path.partition("/")[2].partition("/")[0] in OWN_PATHS:
            raise ValueError(f"{value!r} begins like a path of the app itself; choose another, like /support")
        return path

    @field_validator("public_url")
    @classmethod
    def _public(cls, value: str) -> str:
        if value and (not _is_address(value) or "?" in value or "#" in value):
            raise ValueError(f"{value!r} is not an address like https://support.example.com")
        return value.rstrip("/")

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9]\d*/[1-9]\d*s", value):
            raise ValueError(f"{value!r} is not COUNT/SECONDSs, for example 10/10s")
        return value

    @field_validator("agents_file", "notify_file", "users_file", "model_temperature", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("escalation_webhook_url")
    @classmethod
    def _webhook(cls, value: str) -> str:
        if value and not _is_address(value):
            raise ValueError(f"{value!r} is not an address like https://example.com/hook")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        if value and (not _is_address(value) or "?" in value or "#" in value):
            raise ValueError(f"{value!r} is not an address like https://login.example.com")
        return value

    @field_validator("fallback_base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        if value and not _is_address(value):
            raise ValueError(f"{value!r} is not an address like http://127.0.0.1:8080/v1")
        return value

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and not re.match(r"postgres(ql)?://", value):
            raise ValueError(
                "it must begin with postgresql://, as in postgresql://user:password@host/database"
            )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: str) -> str:
        for one in filter(None, (part.strip() for part in value.split(","))):
            try:
                one == "*" or ipaddress.ip_network(one)
            except ValueError:
                raise ValueError(
                    f"{one!r} is not an address like 10.0.0.5 or a network like 10.0.0.0/24"
                ) from None
        return value

    @field_validator("secret_key")
    @classmethod
    def _key(cls, value: str) -> str:
        if value and not re.fullmatch(r"[\w-]{43}=", value):
            raise ValueError(
                "not 32 bytes in URL-safe base64; create one with openssl rand -base64 32 | tr '+/' '-_'"
            )
        return value

    @field_validator("mcp_servers")
    @classmethod
    def _commands(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, command in value.items():
            if not command or not re.fullmatch(r"[\w.-]{1,60}", name):
                raise ValueError(
                    f'{name!r}: give a name and its command, for example {{"desk": ["desk-mcp"]}}'
                )
        return value

    @field_validator("model")
    @classmethod
    def _model(cls, value: str) -> str:
        if value != "demo" and not _MODEL.fullmatch(value):
            raise ValueError(
                f"{value!r} is neither 'demo' nor 'PROVIDER:NAME', for example openai:gpt-5-mini"
            )
        return value

    @field_validator("fallback_model")
    @classmethod
    def _fallback(cls, value: str) -> str:
        if value and not _MODEL.fullmatch(value):
            raise ValueError(f"{value!r} is not 'PROVIDER:NAME', for example openai:gpt-5-nano")
        return value

    @model_validator(mode="after")
    def _environment_can_be_sent(self) -> "Settings":
        for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
            try:
                _check_secret(os.environ.get(name, ""))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return self

    @model_validator(mode="after")
    def _public_url_fits(self) -> "Settings":
        path = urlsplit(self.public_url).path
        if path and path != self.root_path:
            raise ValueError(
                f"{PREFIX}PUBLIC_URL={self.public_url} ends with {path}, which is not {PREFIX}ROOT_PATH; set "
                f"{PREFIX}ROOT_PATH={path} too, or remove it from the address"
            )
        return self

    @model_validator(mode="after")
    def _fallback_fits(self) -> "Settings":
        if self.fallback_model and self.model == "demo":
            raise ValueError(
                f"{PREFIX}FALLBACK_MODEL needs a language model; set {PREFIX}MODEL=openai:NAME too"
            )
        if self.fallback_base_url and not self.fallback_api_key:
            raise ValueError(
                f"{PREFIX}FALLBACK_BASE_URL would get the key of another provider; set "
                f"{PREFIX}FALLBACK_API_KEY (any text for a local server)"
            )
        return self

    @model_validator(mode="after")
    def _budgets_can_be_counted(self) -> "Settings":
        limits = {"CONVERSATION": self.budget_usd_per_conversation, "DAY": self.budget_usd_per_day}
        per = next((per for per, limit in limits.items() if limit), None)
        models = [model for model in (self.model, self.fallback_model) if ":" in model]
        names = [model.partition(":")[2] for model in models]
        unpriced = [name for name in names if not name.startswith(tuple(self.model_prices))]
        if per and unpriced:
            raise ValueError(
                f"{PREFIX}BUDGET_USD_PER_{per} can't be enforced, because {unpriced[0]} has no price; set "
                f"{PREFIX}MODEL_PRICES='{{\"{unpriced[0]}\": [IN, OUT]}}' in dollars per million tokens, "
                f"or {PREFIX}BUDGET_TOKENS_PER_{per}"
            )
        return self

    @model_validator(mode="after")
    def _single_sign_on_is_complete(self) -> "Settings":
        if not self.oidc_issuer:
            if self.oidc_client_id or self.oidc_roles:
                raise ValueError(f"{PREFIX}OIDC_ISSUER is missing; set the address of the identity provider")
            return self
        for name in ("oidc_client_id", "oidc_roles"):
            if not getattr(self, name):
                raise ValueError(f"{PREFIX}{name.upper()} is missing; single sign-on needs it")
        if not self.public_url and not _is_loopback(self.host):
            raise ValueError(
                f"{PREFIX}PUBLIC_URL is missing; the identity provider sends people back to "
                "https://YOUR-HOST/login/callback"
            )
        return self

    @model_validator(mode="after")
    def _not_open_to_the_network(self) -> "Settings":
        has_logins = bool(self.users_file or self.api_keys.strip(", ") or self.oidc_issuer)
        if not _is_loopback(self.host) and not has_logins:
            raise ValueError(
                f"{PREFIX}HOST={self.host} would open the console to the network without a login; "
                f"set {PREFIX}USERS_FILE, {PREFIX}API_KEYS or {PREFIX}OIDC_ISSUER, or keep "
                f"{PREFIX}HOST=127.0.0.1"
            )
        return self

    @property
    def local_url(self) -> str:
        """The address of the app on its own machine, as a person opens it: `http://[::1]:7860/support`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.root_path}"

    @property
    def link_base(self) -> str:
        """What links to the app begin with: `PUBLIC_URL` with the sub-path, or the app's own address."""
        if not self.public_url:
            return self.local_url
        return self.public_url if urlsplit(self.public_url).path else f"{self.public_url}{self.root_path}"

    @property
    def agents_path(self) -> Path:
        """The agents file: `AGENTS_FILE`, or that of the bundled `TEMPLATE`."""
        return self.agents_file or TEMPLATES / f"{self.template}.yaml"

    @property
    def messages_per_window(self) -> tuple[int, int]:
        """`RATE_LIMIT` as (messages, seconds)."""
        count, seconds = self.rate_limit.removesuffix("s").split("/")
        return int(count), int(seconds)


def unknown_variables() -> Iterator[tuple[str, str | None]]:
    """Unknown variables with our prefix, each with the setting that may have been meant."""
    known = {name.upper() for name in Settings.model_fields} | OTHERS
    for variable in sorted({*os.environ, *dotenv_values(".env")}):
        name = variable.upper().removeprefix(PREFIX)
        if variable.upper().startswith(PREFIX) and name not in known:
            meant = difflib.get_close_matches(name, known, 1)
            yield variable, PREFIX + meant[0] if meant else None


def _is_address(text: str) -> bool:
    """Whether a text is an HTTP URL with a host and a valid port."""
    try:
        return bool(re.fullmatch(_ADDRESS, text)) and urlsplit(text).port != 0
    except ValueError:
        return False


def _check_secret(value: Any) -> None:
    """Check that a secret is one line without white space around it; libraries log what they can't send.

    Raises:
        ValueError: it is not. The message does not contain the secret.
    """
    if not isinstance(value, str):
        return
    if value != value.strip():
        raise ValueError("it begins or ends with white space, probably a line break; remove it")
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in value):
        raise ValueError("it contains a control character, such as a line break; give it as one line of text")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _explain(item: Any) -> str:
    """One line of a validation error: the variable, the problem, and the value."""
    cause = item.get("ctx", {}).get("error")
    is_secret = bool(item["loc"]) and item["loc"][0] in SECRETS | {"customer_token_key"}
    shown = "" if is_secret else f" (got {item['input']!r})"
    text = str(cause) if cause else f"{item['msg']}{shown}"
    if not item["loc"]:
        return text
    return f"{PREFIX}{str(item['loc'][0]).upper()}: {text}"
