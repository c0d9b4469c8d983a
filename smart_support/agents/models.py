"""The chat models that the settings name.

`model_client.py` calls them.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from langchain_core.language_models import BaseChatModel

from smart_support import clock
from smart_support.agents.provider_profile import OWN, PACKAGED, ProviderProfile, profile_of
from smart_support.agents.streamed_answer import limit_events
from smart_support.errors import ConfigError
from smart_support.observability.log import hide
from smart_support.outbound.client import limit_answer
from smart_support.outbound.environment_proxies import check_proxies
from smart_support.settings import OPENAI, Settings

CONNECT_SECONDS = 5
# Of one request, by the client itself: on 429, 5xx and failed connections, before there is any answer.
RETRIES = 2
# The most that is read of one answer, unpacked. A provider writes some 300 bytes around each token.
FEWEST_ANSWER_BYTES = 1_000_000
BYTES_A_TOKEN = 2_000


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A chat model. One that is given to `create_app` has no name here, and only its own time-out.

    Attributes:
        name: as in the settings. The streams of a named model end with a reason, or they were cut off.
        timeout_seconds: the longest wait for the first chunk, and between two chunks.
        profile: what its provider accepts.
    """

    model: BaseChatModel
    name: str | None = None
    timeout_seconds: float | None = None
    profile: ProviderProfile = OWN


def chat_models(settings: Settings, own: BaseChatModel | None = None) -> list[NamedModel]:
    """The model and, where one is set, the fallback: `PROVIDER:NAME`, with a key and a base URL for `openai`.

    Args:
        own: a model in place of those: a customer's, or the demo model.

    Raises:
        ConfigError: one can't be made; says which variable to set, or which package to install.
    """
    if own is not None:
        return [NamedModel(own, profile=_profile_of_own(own))]
    check_proxies()
    models = [_named("MODEL", settings.model, settings.model_profile, settings)]
    if settings.fallback_model:
        where = {"base_url": settings.fallback_base_url, "api_key": settings.fallback_api_key}
        where = {name: value for name, value in where.items() if value}
        profile = settings.fallback_profile or (settings.model_profile if not where else "")
        models.append(_named("FALLBACK_MODEL", settings.fallback_model, profile, settings, **where))
    return models


def _profile_of_own(own: BaseChatModel) -> ProviderProfile:
    """The habits of a model that is given to `create_app`. Only LangChain's client of OpenAI has none."""
    if type(own).__module__.startswith("langchain_openai"):
        profile = profile_of(getattr(own, "openai_api_base", None))
        return replace(profile, uses_responses=bool(getattr(own, "use_responses_api", False)))
    return OWN


def _named(setting: str, value: str, profile: str, settings: Settings, **where: Any) -> NamedModel:
    provider, _, name = value.partition(":")
    if provider != OPENAI:
        return _by_package(setting, value, provider, name, settings)
    base_url = where.get("base_url") or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
    habits = profile_of(base_url, profile)
    if settings.model_token_limit:
        habits = replace(habits, token_limit=settings.model_token_limit)
    return _openai(setting, name, habits, settings, **where)


def _openai(setting: str, name: str, habits: ProviderProfile, settings: Settings, **where: Any) -> NamedModel:
    from openai import DefaultAsyncHttpxClient, OpenAIError, Timeout

    from smart_support.agents.openai_compatible import OpenAICompatible

    seconds = settings.model_timeout_seconds
    # The wait for an answer is ours to end (see `model_client.py`): the client would only wait once more.
    timeout = Timeout(None, connect=min(CONNECT_SECONDS, seconds))
    max_bytes = FEWEST_ANSWER_BYTES + BYTES_A_TOKEN * settings.model_answer_tokens

    async def check_answer(response: Any) -> None:
        """Limit the size of an answer; don't retry where the requested wait is longer than our time-out."""
        limit_answer(response, max_bytes)
        limit_events(response)
        if _seconds_to_wait(response.headers.get("retry-after", "")) > seconds:
            response.headers["x-should-retry"] = "false"

    try:
        model = OpenAICompatible(
            model=name,
            habits=habits,
            temperature=settings.model_temperature,
            max_completion_tokens=settings.model_answer_tokens,
            use_responses_api=habits.uses_responses or None,
            stream_usage=not habits.always_sends_usage,
            timeout=timeout,
            max_retries=RETRIES,
            stream_chunk_timeout=seconds,
            http_async_client=DefaultAsyncHttpxClient(
                timeout=timeout,
                headers={"Accept-Encoding": "gzip"},
                event_hooks={"response": [check_answer]},
            ),
            **where,
        )
    except OpenAIError as error:
        raise ConfigError(
            f"SMART_SUPPORT_{setting}=openai:{name}: {error} Set OPENAI_API_KEY (any text for a local server "
            "named by OPENAI_BASE_URL), or use SMART_SUPPORT_MODEL=demo."
        ) from None
    hide(str(model.root_async_client.api_key))
    uses_responses = bool(model.use_responses_api)
    return NamedModel(model, name, seconds, replace(habits, uses_responses=uses_responses))


def _by_package(setting: str, value: str, provider: str, name: str, settings: Settings) -> NamedModel:
    """A model of a provider for which LangChain has a package, which the operator has installed."""
    from langchain.chat_models import init_chat_model

    seconds = settings.model_timeout_seconds
    make_options = _OPTIONS_OF.get(provider)
    options = make_options(settings.model_answer_tokens, seconds) if make_options else {}
    if settings.model_temperature is not None:
        options["temperature"] = settings.model_temperature
    try:
        model = init_chat_model(name, model_provider=provider, **options)
    except ImportError as error:
        raise ConfigError(f"SMART_SUPPORT_{setting}={value}: {error}") from None
    except Exception as error:
        raise ConfigError(
            f"SMART_SUPPORT_{setting}={value} can't be used: {error} The key belongs into the variable that "
            "the provider's own documentation names, for example ANTHROPIC_API_KEY or GOOGLE_API_KEY."
        ) from None
    # Its package builds the requests. What is common to all providers it gets from us.
    return NamedModel(model, name, seconds, PACKAGED)


# What the parameters of `MODEL_ANSWER_TOKENS` and `MODEL_TIMEOUT_SECONDS` are called by LangChain's packages.
_OPTIONS_OF: dict[str, Callable[[int, float], dict[str, Any]]] = {
    "anthropic": lambda tokens, seconds: {"max_tokens": tokens, "timeout": seconds, "max_retries": RETRIES},
    "google_genai": lambda tokens, seconds: {
        "max_output_tokens": tokens,
        "timeout": seconds,
        "max_retries": RETRIES,
    },
    "ollama": lambda tokens, seconds: {"num_predict": tokens, "client_kwargs": {"timeout": seconds}},
    "mistralai": lambda tokens, seconds: {
        "max_tokens": tokens,
        "timeout": int(seconds),
        "max_retries": RETRIES,
    },
}


def _seconds_to_wait(retry_after: str) -> float:
    """The seconds of a `Retry-After`, which gives them or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    with suppress(ValueError):
        return float(retry_after)
    with suppress(ValueError, TypeError):
        return (parsedate_to_datetime(retry_after) - clock.now()).total_seconds()
    return 0
