"""What a write to the demo software company changed, as a card tells it."""

from collections.abc import Iterator

from smart_support.demo.changes import NONE, Effect, Tables, Watched, added
from smart_support.demo.money import exact
from smart_support.tools.registry import Change

_SUBSCRIPTIONS = Watched(
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


def _told(before: Tables, after: Tables) -> list[Change]:
    return [*_SUBSCRIPTIONS.changed(before, after), *_new_invoices(before, after)]


def _new_invoices(before: Tables, after: Tables) -> Iterator[Change]:
    for row in added(before, after, "invoices", "invoice_id"):
        amount = exact(row["amount_cents"], row["currency"])
        yield Change(f"subscription {row['subscription_id']}", "new invoice", NONE, amount)


EFFECT = Effect(("subscriptions", "invoices"), _told)
