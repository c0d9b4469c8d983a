"""What an approval card shows of a write to the demo shop."""

from collections.abc import Iterator

from smart_support.demo.changes import NONE, Effect, Tables, TrackedTable, added
from smart_support.money import format_money
from smart_support.tools.registry import Change

_ORDERS = TrackedTable(
    "orders",
    "order_id",
    "order",
    {
        "status": "status",
        "shipping_address": "shipping address",
        "discount_percent": "discount",
        "total_cents": "total",
    },
)


def _describe(before: Tables, after: Tables) -> list[Change]:
    return [
        *_ORDERS.changed(before, after),
        *_new_refunds(before, after),
        *_new_coupons(before, after),
    ]


def _new_refunds(before: Tables, after: Tables) -> Iterator[Change]:
    orders = {row["order_id"]: row for row in after["orders"]}
    for row in added(before, after, "refunds", "refund_id"):
        order = orders[row["order_id"]]
        card = f"refund to {order['card_brand']} card ending {order['card_last4']}"
        yield Change(
            f"order {row['order_id']}", card, NONE, format_money(row["amount_cents"], order["currency"])
        )


def _new_coupons(before: Tables, after: Tables) -> Iterator[Change]:
    customers = {row["customer_id"]: row for row in after["customers"]}
    for row in added(before, after, "coupons", "code"):
        holder = customers.get(row["customer_id"])
        subject = f"new coupon for {holder['email']}" if holder else "new coupon for any customer"
        yield Change(subject, "discount", NONE, f"{row['percent']}%")
        yield Change(subject, "valid", NONE, f"{row['valid_days']} days")


EFFECT = Effect(("customers", "orders", "refunds", "coupons"), _describe)
