"""What the name of a model says about its answers."""

import re

# Families whose chat template does not write `<think>` into the prompt. Where one does, and the server does
# not parse thoughts, an answer begins inside a thought: https://github.com/vllm-project/vllm/issues/13125,
# https://github.com/ggml-org/llama.cpp/issues/11861, https://github.com/ml-explore/mlx-lm/issues/877.
_OPENS_NONE = re.compile(
    r"(?<![a-z0-9])(?:gpt|chatgpt|claude|gemini|gemma|llama|mistral|mixtral|ministral|codestral|devstral"
    r"|command|grok|palmyra|jamba|nova|phi-?[123]|qwen-?(?:1\.5|2)|smollm|o[134](?![a-z0-9]))|instruct",
    re.IGNORECASE,
)
# Models of these families, and trained from them, that think all the same.
_THINKS = re.compile(
    r"think|(?<!non-)reason|distill|nemotron|(?<![a-z0-9])[ro]1(?![a-z0-9])(?!-(?:mini|pro|preview))", re.I
)


def opens_no_thought(*names: str | None) -> bool:
    """Whether a model's answers never begin inside a thought without its opening tag.

    False where its names don't say so (`local`, `default`, a folder).

    Args:
        names: what the model is called, in the settings and by the server.
    """
    known = [name for name in names if name]
    return any(_OPENS_NONE.search(name) for name in known) and not any(_THINKS.search(name) for name in known)
