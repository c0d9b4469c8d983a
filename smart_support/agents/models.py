"""The chat models that the settings name, behind an OpenAI-compatible API.

`model_client.py` calls them.
"""

from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from langchain_core.language_models import BaseChatModel

from smart_support import clock
from smart_support.agents.streamed_answer import limit_events
from smart_support.errors import ConfigError
from smart_support.observability.log import hide
from smart_support.outbound.client import limit_answer
from smart_support.outbound.environment_proxies import check_proxies
from smart_support.settings import Settings

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
    """

    model: BaseChatModel
    name: str | None = None
    timeout_seconds: float | None = None


def chat_models(settings: Settings, own: BaseChatModel | None = None) -> list[NamedModel]:
    """The model and, where one is set, the fallback: `openai:NAME` with a key and a base URL.

    Args:
        own: a model in place of those: a customer's, or the demo model.

    Raises:
        ConfigError: one can't be made; says which variable to set.
    """
    if own is not None:
        return [NamedModel(own)]
    check_proxies()
    models = [_openai("MODEL", settings.model, settings)]
    if settings.fallback_model:
        where = {"base_url": settings.fallback_base_url, "api_key": settings.fallback_api_key}
        where = {name: value for name, value in where.items() if value}
        models.append(_openai("FALLBACK_MODEL", settings.fallback_model, settings, **where))
    return models


def _openai(setting: str, value: str, settings: Settings, **where: Any) -> NamedModel:
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient, OpenAIError, Timeout

    name, seconds = value.removeprefix("openai:"), settings.model_timeout_seconds
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
        model = ChatOpenAI(
            model=name,
            temperature=0,
            max_completion_tokens=settings.model_answer_tokens,
            stream_usage=True,
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
            f"SMART_SUPPORT_{setting}={value}: {error} Set OPENAI_API_KEY (any text for a local server "
            "named by OPENAI_BASE_URL), or use SMART_SUPPORT_MODEL=demo."
        ) from None
    hide(str(model.root_async_client.api_key))
    return NamedModel(model, name, seconds)


def _seconds_to_wait(retry_after: str) -> float:
    """The seconds of a `Retry-After`, which gives them or a date (RFC 9110, 10.2.3); 0 if it is neither."""
    with suppress(ValueError):
        return float(retry_after)
    with suppress(ValueError, TypeError):
        return (parsedate_to_datetime(retry_after) - clock.now()).total_seconds()
    return 0
