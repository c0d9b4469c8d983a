"""What a model provider accepts in a request, as far as providers differ."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from smart_support.settings import TokenLimit

# OpenAI's own rule: at most 40 characters. Others take a shorter alphabet.
_COMMON_ID = r"[A-Za-z0-9_-]{1,40}"


@dataclass(frozen=True, slots=True)
class ProviderProfile:
    """The habits of one provider.

    Attributes:
        call_id: a regular expression that the id of a tool call must match as a whole.
        token_limit: the parameter that limits an answer; `none` sends none.
        always_sends_usage: usage comes without `stream_options`, which the provider refuses.
        is_strict_order: customer and assistant must alternate, and the customer or a tool comes last.
        names_results: a tool's result needs the name of the tool beside the id of the call.
        needs_signature: each tool call needs a signature of its thought. A documented placeholder is sent.
        refuses_blank_text: white space alone is no text, beside calls either.
        reasoning_field: a field that every assistant message must have. It is sent empty.
        names_agents: assistant messages have the agent's name. The demo model uses it, Mistral refuses it.
        uses_responses: OpenAI's Responses API in place of Chat Completions.
        may_open_in_thought: its answers may begin inside a thought, without the opening tag, because the
            server's chat template has written that tag into the prompt.
    """

    call_id: str = _COMMON_ID
    token_limit: TokenLimit = "max_tokens"
    always_sends_usage: bool = False
    is_strict_order: bool = True
    names_results: bool = False
    needs_signature: bool = False
    refuses_blank_text: bool = False
    reasoning_field: str | None = None
    names_agents: bool = False
    uses_responses: bool = False
    may_open_in_thought: bool = False


PROFILES = {
    "openai": ProviderProfile(token_limit="max_completion_tokens", is_strict_order=False),
    "openai_responses": ProviderProfile(
        token_limit="max_completion_tokens", is_strict_order=False, uses_responses=True
    ),
    # Nine characters, and 422 for any parameter that is not its own.
    "mistral": ProviderProfile(call_id=r"[A-Za-z0-9]{9}", always_sends_usage=True),
    "deepseek": ProviderProfile(reasoning_field="reasoning_content"),
    "gemini": ProviderProfile(names_results=True, needs_signature=True),
    **dict.fromkeys(("anthropic", "openrouter"), ProviderProfile(refuses_blank_text=True)),
    **dict.fromkeys(("groq", "xai"), ProviderProfile()),
    **dict.fromkeys(("together", "fireworks", "cerebras"), ProviderProfile(may_open_in_thought=True)),
    **dict.fromkeys(("ollama", "llamacpp", "vllm", "local"), ProviderProfile(may_open_in_thought=True)),
    # A server that is not known: what most servers take.
    "compatible": ProviderProfile(token_limit="max_completion_tokens", may_open_in_thought=True),
}
# A model that is given to `create_app`: its own client knows its provider.
OWN = ProviderProfile(is_strict_order=False, names_agents=True)
# A model behind a package of LangChain: the package knows its provider, and none takes less than this.
PACKAGED = ProviderProfile(call_id=r"[A-Za-z0-9]{9}", refuses_blank_text=True, may_open_in_thought=True)
_HOSTS = {
    "api.openai.com": "openai",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "generativelanguage.googleapis.com": "gemini",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "ollama.com": "ollama",
}
_SUFFIXES = {".openai.azure.com": "openai", ".services.ai.azure.com": "openai"}
_OLLAMA_PORT = 11434


def profile_of(base_url: str | None, name: str = "") -> ProviderProfile:
    """The profile with a name, or the one that belongs to a base URL; None is OpenAI's own address."""
    return PROFILES[name or _guess(base_url)]


def _guess(base_url: str | None) -> str:
    if not base_url:
        return "openai"
    address = urlsplit(base_url)
    host = (address.hostname or "").lower()
    if host in _HOSTS:
        return _HOSTS[host]
    if address.port == _OLLAMA_PORT:
        return "ollama"
    return next((name for suffix, name in _SUFFIXES.items() if host.endswith(suffix)), "compatible")


def accepts_id(profile: ProviderProfile, call_id: str) -> bool:
    """Whether the provider takes the id of a tool call as it is."""
    return re.fullmatch(profile.call_id, call_id) is not None
