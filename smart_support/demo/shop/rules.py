"""The rules of the demo shop and its sentences for customers. Rows come in; nothing is stored here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from smart_support import clock
from smart_support.errors import ToolRefused
from smart_support.money import format_money

Row = dict[str, Any]
NOT_SENT = ("pending", "processing")
CARD_FIELDS = (
    *("status", "total_cents", "paid_cents", "refunded_cents", "discount_percent", "shipping_address"),
    *("card_brand", "card_last4"),
)
PAID_STATES = ("processing", "shipped", "delivered", "returned")
# In scripts without spaces, two characters count as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}|[^\W\d_]{2,}")


def card(order: Row) -> str:
    """`Visa card ending 4242`."""
    return f"{order['card_brand']} card ending {order['card_last4']}"


def check_account(customer: Row) -> None:
    """Refuse any change on a frozen account."""
    if customer["status"] == "frozen":
        raise ToolRefused(
            "This customer's account is frozen and can't be changed here. "
            "A human colleague has to look at it first."
        )


def check_cancel(order: Row, customer: Row) -> None:
    """An order can be cancelled until it is shipped."""
    number, status = order["order_id"], order["status"]
    if status == "shipped":
        raise ToolRefused(
            f"Order {number} has been shipped and can't be cancelled anymore. "
            "You can return it when it arrives; I can tell you where the parcel is."
        )
    if status == "delivered":
        raise ToolRefused(
            f"Order {number} has been delivered and can't be cancelled. You can return it, or I can request "
            "a refund."
        )
    if status not in NOT_SENT:
        raise ToolRefused(f"Order {number} is already {status}, so there is nothing to cancel.")
    check_account(customer)


def check_address(order: Row, customer: Row, new_address: str) -> str:
    """Return the cleaned address; refuse one without street, number and city, or of a shipped order."""
    number = order["order_id"]
    if order["status"] not in NOT_SENT:
        raise ToolRefused(
            f"Order {number} is {order['status']}, so its address can't be changed anymore."
            + (" The carrier may redirect the parcel." if order["status"] == "shipped" else "")
        )
    check_account(customer)
    address = " ".join(new_address.split())
    if not (10 <= len(address) <= 200 and len(_WORD.findall(address)) >= 2 and re.search(r"\d", address)):
        raise ToolRefused(
            f"{address[:60]!r} does not look like a complete address. Please give street and number, "
            "postcode, city and country."
        )
    if address == order["shipping_address"]:
        raise ToolRefused(f"Order {number} is already being sent to that address.")
    return address


def cancel_summary(args: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card's sentence of a cancellation, with the refund."""
    summary = f"Cancel order {args.get('order_id')}"
    refund = _refund(facts)
    if refund is None:
        return summary
    return f"{summary} and refund {refund}" if facts["amount_cents"] else f"{summary} (nothing to refund)"


def refund_summary(args: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The card's sentence of a refund, with its amount."""
    return f"Refund {_refund(facts) or 'the amount paid'} for order {args.get('order_id')}"


def _refund(facts: Mapping[str, Any]) -> str | None:
    cents, currency = facts.get("amount_cents"), facts.get("currency")
    return format_money(cents, currency) if isinstance(cents, int) and currency else None


def check_refund(order: Row, customer: Row, amount_cents: int | None) -> int:
    """Return the cents to refund: `amount_cents`, or all that was paid and not refunded yet."""
    number, currency = order["order_id"], order["currency"]
    left = order["paid_cents"] - order["refunded_cents"]
    if not order["paid_cents"]:
        raise ToolRefused(f"Order {number} has not been paid, so there is nothing to refund.")
    if left == 0:
        raise ToolRefused(f"Order {number} has already been refunded in full.")
    if order["status"] not in PAID_STATES:
        raise ToolRefused(f"Order {number} is {order['status']} and can't be refunded here.")
    if amount_cents is not None and amount_cents <= 0:
        raise ToolRefused("The refund must be more than zero.")
    amount = left if amount_cents is None else amount_cents
    if amount > left:
        raise ToolRefused(
            f"{format_money(amount, currency)} is more than can be refunded for order {number}: "
            f"{format_money(left, currency)} at most."
        )
    if amount == left and order["status"] in NOT_SENT:
        raise ToolRefused(
            f"Order {number} has not been shipped yet. Cancel it instead of refunding it in full; a "
            "cancelled order is refunded in full."
        )
    check_account(customer)
    return amount


def check_discount(order: Row, customer: Row, percent: int) -> int:
    """Return the cents of the discount; an order gets one discount, before it is shipped."""
    number = order["order_id"]
    _check_percent(percent)
    if order["status"] not in NOT_SENT:
        raise ToolRefused(
            f"Order {number} is {order['status']}; a discount is possible only before shipping. "
            "I can make a coupon for the next order instead."
        )
    if order["refunded_cents"]:
        raise ToolRefused(
            f"Order {number} has already been refunded in part, so it can't get a discount. "
            "I can make a coupon for the next order instead."
        )
    if order["discount_percent"]:
        raise ToolRefused(f"Order {number} already has a discount of {order['discount_percent']}%.")
    check_account(customer)
    off: int = order["subtotal_cents"] * percent // 100
    return off


def money_out(method: str, order: Row, args: Mapping[str, Any]) -> int:
    """Return the cents that a write would refund, whether it is allowed or not."""
    left = int(order["paid_cents"] - order["refunded_cents"])
    if method == "cancel_order":
        return left
    if method == "refund_order":
        amount = args.get("amount_cents")
        return left if amount is None else int(amount)
    if method == "apply_discount":
        off = order["subtotal_cents"] * int(args["percent"]) // 100
        return max(0, left - int(order["subtotal_cents"] - off + order["shipping_cents"]))
    return 0


def check_coupon(percent: int, valid_days: int) -> None:
    """Refuse a coupon that is not for 1 to 100%, or not for 1 to 365 days."""
    _check_percent(percent)
    if not 1 <= valid_days <= 365:
        raise ToolRefused(f"A coupon is valid for 1 to 365 days, not {valid_days}.")


def _check_percent(percent: int) -> None:
    if percent > 100:
        raise ToolRefused(f"A discount of {percent}% is more than the price; the maximum is 100%.")
    if percent < 1:
        raise ToolRefused(f"A discount must be at least 1%, not {percent}%.")


def status_sentence(order: Row) -> str:
    """The status of an order, and what happens next."""
    number, status, currency = order["order_id"], order["status"], order["currency"]
    total = format_money(order["total_cents"], currency)
    back = format_money(order["refunded_cents"], currency)
    refunded = f" {back} has been refunded." if order["refunded_cents"] else ""
    more = {
        "pending": f"We are waiting for the payment of {total}.",
        "processing": f"It is paid ({total}) and being packed. It can still be changed or cancelled."
        + refunded,
        "shipped": f"It was shipped with {order['carrier']} on {_day(order['shipped_at'])} "
        f"and is expected on {_day(order['expected_at'])}." + refunded,
        "delivered": f"It was delivered on {_day(order['delivered_at'])}." + refunded,
        "cancelled": f"It was cancelled on {_day(order['cancelled_at'])}."
        + (refunded or " Nothing had been paid."),
        "returned": f"You returned it. {back} of {total} has been refunded to the {card(order)}.",
        "refunded": f"{back} of {total} has been refunded to the {card(order)}.",
    }[status]
    return f"Order {number} is {status}. {more}"


def tracking_sentence(order: Row, stops: Sequence[Row]) -> str:
    """Where the parcel is, or why there is no parcel."""
    number = order["order_id"]
    if not order["tracking_number"]:
        return f"Order {number} is {order['status']}, so there is no parcel to track" + (
            " yet." if order["status"] in NOT_SENT else "."
        )
    words = f"Order {number} is {order['status']} with {order['carrier']} ({order['tracking_number']})."
    if stops:
        last = stops[-1]
        words += f" Last seen: {last['status']}, {last['place']}, {_day(last['happened_at'])}."
    return words + (f" Expected on {_day(order['expected_at'])}." if order["status"] == "shipped" else "")


def cancelled_sentence(order: Row, refund: int) -> str:
    """After a cancellation."""
    words = f"Order {order['order_id']} is cancelled."
    if not refund:
        why = "It was already refunded in full" if order["paid_cents"] else "Nothing was paid"
        return f"{words} {why}, so there is nothing to refund."
    money, before = (format_money(cents, order["currency"]) for cents in (refund, order["refunded_cents"]))
    words += f" {money} will be refunded to the {card(order)} within 5 working days"
    return f"{words}; {before} was refunded before." if order["refunded_cents"] else f"{words}."


def discounted_sentence(order: Row, percent: int, total: int, overpaid: int) -> str:
    """After a discount."""
    money = format_money(total, order["currency"])
    words = f"Order {order['order_id']} now has {percent}% off and costs {money}."
    if overpaid:
        words += f" {format_money(overpaid, order['currency'])} will be refunded to the {card(order)}."
    return words


def _day(at: str | None) -> str:
    return f"{clock.parse(at):%d %B %Y}" if at else "a date not known yet"
