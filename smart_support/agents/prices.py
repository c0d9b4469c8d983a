"""The costs of model tokens, by the operator's prices."""

from collections.abc import Mapping
from typing import Any

_MILLION = 1_000_000


class Prices:
    """Dollars per million tokens, in and out, by a model's name or its beginning."""

    def __init__(self, by_model: Mapping[str, tuple[float, float]]) -> None:
        # The longest first: `gpt-5-mini` is not what begins with `gpt-5`.
        self._by_model = sorted(by_model.items(), key=lambda item: -len(item[0]))

    def cost(self, model: str | None, input_tokens: int, output_tokens: int) -> float | None:
        """Dollars, or None where no price is set for the model. Providers answer with a dated name."""
        for name, (into, out) in self._by_model:
            if model and model.startswith(name):
                return (input_tokens * into + output_tokens * out) / _MILLION
        return None

    def usage(
        self, used: Mapping[str | None, tuple[int, int]], *, is_partial: bool = False
    ) -> dict[str, Any]:
        """The tokens of all models that were `used`; their cost where all is known and has a price.

        Args:
            is_partial: more was used than is known.
        """
        costs = [self.cost(model, *tokens) for model, tokens in used.items()]
        known = [cost for cost in costs if cost is not None]
        return {
            "input_tokens": sum(into for into, _ in used.values()),
            "output_tokens": sum(out for _, out in used.values()),
            "cost_usd": sum(known) if known and len(known) == len(costs) and not is_partial else None,
        }
