"""What a write to the demo business changed, in words: two snapshots in, `Change`s out. No database here.

Only what a person deciding would look at is told; the moment of a change, new ids and sums that follow
from other lines are not, so that a preview says exactly what running it later does.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from smart_support.tools.money import exact
from smart_support.tools.registry import Change

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]

SHOWN_TABLES = ("customers", "orders", "refunds", "coupons")
_NONE = "none"
_ORDER_FIELDS = {
    "status": "status",
    "shipping_address": "shipping address",
    "discount_percent": "discount",
    "total_cents": "total",
}


def changes(before: Tables, after: Tables) -> list[Change]:
    """The lines of an effect, orders first."""
    return [
        *_changed_orders(before, after),
        *_new_refunds(before, after),
        *_new_coupons(before, after),
    ]


def _changed_orders(before: Tables, after: Tables) -> Iterator[Change]:
    was = {row["order_id"]: row for row in before["orders"]}
    for row in after["orders"]:
        old = was[row["order_id"]]
        for column, label in _ORDER_FIELDS.items():
            if old[column] != row[column]:
                yield Change(f"order {row['order_id']}", label, _text(old, column), _text(row, column))


def _new_refunds(before: Tables, after: Tables) -> Iterator[Change]:
    orders = {row["order_id"]: row for row in after["orders"]}
    for row in _added(before, after, "refunds", "refund_id"):
        order = orders[row["order_id"]]
        card = f"refund to {order['card_brand']} card ending {order['card_last4']}"
        yield Change(f"order {row['order_id']}", card, _NONE, exact(row["amount_cents"], order["currency"]))


def _new_coupons(before: Tables, after: Tables) -> Iterator[Change]:
    customers = {row["customer_id"]: row for row in after["customers"]}
    for row in _added(before, after, "coupons", "code"):
        holder = customers.get(row["customer_id"])
        subject = f"new coupon for {holder['email']}" if holder else "new coupon for any customer"
        yield Change(subject, "discount", _NONE, f"{row['percent']}%")
        yield Change(subject, "valid", _NONE, f"{row['valid_days']} days")


def _added(before: Tables, after: Tables, table: str, key: str) -> Iterator[Row]:
    known = {row[key] for row in before[table]}
    return (row for row in after[table] if row[key] not in known)


def _text(row: Row, column: str) -> str:
    value = row[column]
    if column.endswith("_cents"):
        return exact(value, row["currency"])
    if column.endswith("_percent"):
        return f"{value}%" if value else _NONE
    return str(value)
