"""The client of OpenAI-compatible servers: LangChain's, made to read and to write what these really use."""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import Field

from smart_support.agents.provider_profile import ProviderProfile
from smart_support.agents.streamed_answer import STREAM_FACTS, USAGE_IS_PARTIAL

# The names under which servers send thoughts beside the text. Some send the same thought under two.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")
# For a call without its signature; https://ai.google.dev/gemini-api/docs/thought-signatures
_UNSIGNED = {"google": {"thought_signature": "skip_thought_signature_validator"}}


class OpenAICompatible(ChatOpenAI):
    """A chat model behind an OpenAI-compatible API.

    Attributes:
        habits: what the provider accepts.
        left_out: parameters that the server has refused; no later request has them.
    """

    habits: ProviderProfile
    left_out: set[str] = Field(default_factory=set)

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        if (facts := STREAM_FACTS.get()) and isinstance(name := chunk.get("model"), str):
            facts.model = facts.model or name
        normalised = _normalised(chunk)
        generation = super()._convert_chunk_to_generation_chunk(
            normalised, AIMessageChunk, base_generation_info
        )
        if generation is None:
            return None
        message = generation.message
        for choice in normalised["choices"]:
            message.additional_kwargs |= choice["beside"]
        if normalised["usage"] and None in normalised["usage"].values():
            message.response_metadata[USAGE_IS_PARTIAL] = True
        return generation

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if "input" in payload:
            # Nothing is stored at the provider. So what it thought comes back to it, encrypted.
            payload |= {"store": False, "include": ["reasoning.encrypted_content"]}
        else:
            messages = self._convert_input(input_).to_messages()
            for message, sent in zip(messages, payload["messages"], strict=True):
                if sent["role"] == "tool" and self.habits.names_results:
                    sent["name"] = message.name
                for call in sent.get("tool_calls") or ():
                    if self.habits.needs_signature:
                        call["extra_content"] = _UNSIGNED
                if sent["role"] == "assistant" and self.habits.reasoning_field:
                    sent[self.habits.reasoning_field] = ""
            limit = payload.pop("max_completion_tokens", None)
            name = self._limit_name()
            if limit is not None and name:
                payload[name] = limit
        return {name: value for name, value in payload.items() if name not in self.left_out}

    def _limit_name(self) -> str | None:
        """The parameter that limits an answer: the provider's, or the other one where that was refused."""
        names = {"max_completion_tokens", "max_tokens"}
        if self.habits.token_limit == "none":
            return None
        if self.habits.token_limit not in self.left_out:
            return self.habits.token_limit
        return next(iter(names - self.left_out), None)


def _normalised(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk as OpenAI's own API sends it; `beside` holds what LangChain does not read."""
    choices = [one for one in chunk.get("choices") or () if one.get("index") in (0, None)]
    usage = chunk.get("usage")
    if isinstance(usage, dict) and usage:
        usage = {name: _count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")}
    else:
        usage = None
    return chunk | {"choices": [_normalised_choice(one) for one in choices[:1]], "usage": usage}


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and isfinite(value) else None


def _normalised_choice(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta") or {}
    said, thought = _content(delta.get("content"))
    beside: dict[str, Any] = {}
    if thought or (
        thought := next((delta[name] for name in _THOUGHTS if isinstance(delta.get(name), str)), "")
    ):
        beside["reasoning_content"] = thought
    if isinstance(delta.get("refusal"), str) and delta["refusal"]:
        beside["refusal"] = delta["refusal"]
    calls = list(_calls(delta))
    return {
        "index": 0,
        "delta": {"role": "assistant", "content": said, "tool_calls": calls},
        "finish_reason": choice.get("finish_reason"),
        "beside": beside,
    }


def _content(content: Any) -> tuple[str, str]:
    """The words and the thoughts in the content of a chunk: a text, or parts."""
    if isinstance(content, str):
        return content, ""
    said, thoughts = "", ""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            said += part
        elif not isinstance(part, dict):
            continue
        elif part.get("type") in ("text", "output_text"):
            said += part.get("text") or ""
        elif part.get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking") or part.get("reasoning") or part.get("text") or ""
            thoughts += inner if isinstance(inner, str) else _content(inner)[0]
    return said, thoughts


def _calls(delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    calls = [call for call in delta.get("tool_calls") or () if isinstance(call, dict)]
    if not calls and isinstance(delta.get("function_call"), dict):
        # The API before tool calls, which some servers still answer with.
        calls = [{"index": 0, "function": delta["function_call"]}]
    for call in calls:
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        call_id = call.get("id")
        yield {
            "index": call.get("index"),
            "id": str(call_id) if call_id is not None else None,
            "function": {"name": function.get("name"), "arguments": arguments},
        }
