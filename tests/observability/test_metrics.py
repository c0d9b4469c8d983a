"""Prometheus metrics count what events report."""

from smart_support import clock
from smart_support.events import MessageComplete, Record
from smart_support.observability.metrics import Meters


def _value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(f"smart_support_{name}", labels)


def test_tokens_and_cost_are_those_of_the_usage_that_a_turn_reports() -> None:
    meters = Meters("1.0")
    for usage in (
        {"input_tokens": 500, "output_tokens": 19, "cost_usd": 0.25},
        {"input_tokens": 7, "output_tokens": 2, "cost_usd": None},
    ):
        event = MessageComplete(duration_ms=5, usage=usage)
        meters.count(Record(thread_id="t", seq=1, event=event, happened_at=clock.now()))
    assert _value(meters, "tokens_total", direction="input") == 507
    assert _value(meters, "tokens_total", direction="output") == 21
    assert _value(meters, "cost_usd_total") == 0.25
    assert _value(meters, "turns_total", end="message_complete") == 2
