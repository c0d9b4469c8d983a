"""The chat model by its name in the settings: the embedded one, or one behind an OpenAI-compatible API."""

from langchain_core.language_models import BaseChatModel

from smart_support.settings import Settings


def chat_model(settings: Settings) -> BaseChatModel:
    """`demo`, or `openai:NAME` with `OPENAI_API_KEY` and `OPENAI_BASE_URL` from the environment.

    Raises:
        ConfigError: the model can't be made; says which variable to set.
    """
    if settings.model == "demo":
        from smart_support.agents.demo_model import DemoChatModel

        return DemoChatModel()
    return _openai(settings.model.removeprefix("openai:"))


def _openai(name: str) -> BaseChatModel:
    from langchain_openai import ChatOpenAI
    from openai import OpenAIError

    from smart_support.errors import ConfigError

    try:
        return ChatOpenAI(model=name, temperature=0, stream_usage=True, timeout=60, max_retries=2)
    except OpenAIError as error:
        raise ConfigError(
            f"SMART_SUPPORT_MODEL=openai:{name}: {error} Set OPENAI_API_KEY (any text for a local server "
            "named by OPENAI_BASE_URL), or use SMART_SUPPORT_MODEL=demo."
        ) from None
