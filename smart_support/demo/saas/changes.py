"""What an approval card shows of a write to the demo software company."""

from collections.abc import Iterator

from smart_support.demo.changes import NONE, Effect, Tables, TrackedTable, added
from smart_support.money import format_money
from smart_support.tools.registry import Change

_SUBSCRIPTIONS = TrackedTable(
    "subscriptions",
    "subscription_id",
    "subscription",
    {
        "status": "status",
        "plan": "plan",
        "monthly_cents": "monthly price",
        "trial_ends_at": "trial ends",
        "renews_at": "renews",
    },
)


def _describe(before: Tables, after: Tables) -> list[Change]:
    return [*_SUBSCRIPTIONS.changed(before, after), *_new_invoices(before, after)]


def _new_invoices(before: Tables, after: Tables) -> Iterator[Change]:
    for row in added(before, after, "invoices", "invoice_id"):
        amount = format_money(row["amount_cents"], row["currency"])
        yield Change(f"subscription {row['subscription_id']}", "new invoice", NONE, amount)


EFFECT = Effect(("subscriptions", "invoices"), _describe)
