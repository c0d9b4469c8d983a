"""What the demo shop allows, and how it says so: rows in, a checked value or `ToolRefused` out. No store."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from smart_support import clock
from smart_support.demo.money import readable
from smart_support.errors import ToolRefused

Row = dict[str, Any]
NOT_SENT = ("pending", "processing")
SHOWN_TO_A_LEAD = (
    *("status", "total_cents", "paid_cents", "refunded_cents", "discount_percent", "shipping_address"),
    *("card_brand", "card_last4"),
)
PAID_STATES = ("processing", "shipped", "delivered", "returned")
# Scripts without spaces: two signs of theirs say as much as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}|[^\W\d_]{2,}")


def card(order: Row) -> str:
    """`Visa card ending 4242`."""
    return f"{order['card_brand']} card ending {order['card_last4']}"


def check_account(customer: Row) -> None:
    """Nothing is changed on a frozen account."""
    if customer["status"] == "frozen":
        raise ToolRefused(
            "This customer's account is frozen, so nothing can be changed on it here. "
            "A human colleague has to look at it first."
        )


def check_cancel(order: Row, customer: Row) -> None:
    """An order can be cancelled until it is shipped."""
    number, status = order["order_id"], order["status"]
    if status == "shipped":
        raise ToolRefused(
            f"Order {number} has been shipped and can't be cancelled any more. "
            "You can return it when it arrives; I can tell you where the parcel is."
        )
    if status == "delivered":
        raise ToolRefused(
            f"Order {number} has been delivered and can't be cancelled. You can return it, or I can ask for "
            "a refund."
        )
    if status not in NOT_SENT:
        raise ToolRefused(f"Order {number} is {status} already; there is nothing left to cancel.")
    check_account(customer)


def check_address(order: Row, customer: Row, new_address: str) -> str:
    """The address as it will be kept: until shipping, one with a street, a number and a place."""
    number = order["order_id"]
    if order["status"] not in NOT_SENT:
        raise ToolRefused(
            f"Order {number} is {order['status']}, so its address can't be changed any more."
            + (" The carrier may redirect the parcel." if order["status"] == "shipped" else "")
        )
    check_account(customer)
    address = " ".join(new_address.split())
    if not (10 <= len(address) <= 200 and len(_WORD.findall(address)) >= 2 and re.search(r"\d", address)):
        raise ToolRefused(
            f"{address[:60]!r} does not look like a whole address. Please give street and number, postcode, "
            "city and country."
        )
    if address == order["shipping_address"]:
        raise ToolRefused(f"Order {number} is going to that address already.")
    return address


def refund_summary(args: Mapping[str, Any]) -> str:
    """The card's sentence of a refund; the order's currency is in the lines of its effect."""
    amount = args.get("amount_cents")
    what = "all that was paid" if amount is None else f"{readable(amount, '').strip()} (in its currency)"
    return f"Pay back {what} for order {args.get('order_id')}"


def check_refund(order: Row, customer: Row, amount_cents: int | None) -> int:
    """The amount that goes back: at most what was paid and has not gone back yet."""
    number, currency = order["order_id"], order["currency"]
    left = order["paid_cents"] - order["refunded_cents"]
    if not order["paid_cents"]:
        raise ToolRefused(f"Order {number} has not been paid, so there is nothing to pay back.")
    if left == 0:
        raise ToolRefused(f"All that was paid for order {number} has gone back already.")
    if order["status"] not in PAID_STATES:
        raise ToolRefused(f"Order {number} is {order['status']}; nothing more can be paid back on it here.")
    if amount_cents is not None and amount_cents <= 0:
        raise ToolRefused("The amount to pay back must be more than zero.")
    amount = left if amount_cents is None else amount_cents
    if amount > left:
        raise ToolRefused(
            f"{readable(amount, currency)} is more than can go back for order {number}: "
            f"{readable(left, currency)} at most."
        )
    if amount == left and order["status"] in NOT_SENT:
        raise ToolRefused(
            f"Order {number} has not been shipped yet, so instead of paying all of it back it should be "
            "cancelled; that pays everything back."
        )
    check_account(customer)
    return amount


def check_discount(order: Row, customer: Row, percent: int) -> int:
    """The cents that come off: once an order, before it is shipped, at most all of it."""
    number = order["order_id"]
    _check_percent(percent)
    if order["status"] not in NOT_SENT:
        raise ToolRefused(
            f"Order {number} is {order['status']}; a discount is only possible before shipping. "
            "I can make a coupon for the next order instead."
        )
    if order["refunded_cents"]:
        raise ToolRefused(
            f"Part of order {number} has been paid back already, so no discount can be worked out on it. "
            "I can make a coupon for the next order instead."
        )
    if order["discount_percent"]:
        raise ToolRefused(f"Order {number} has a discount of {order['discount_percent']}% already.")
    check_account(customer)
    off: int = order["subtotal_cents"] * percent // 100
    return off


def money_out(method: str, order: Row, args: Mapping[str, Any]) -> int:
    """The cents that a write would pay back on an order, whether it is allowed or not."""
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
    """1 to 100%, for a day to a year."""
    _check_percent(percent)
    if not 1 <= valid_days <= 365:
        raise ToolRefused(f"A coupon is valid for 1 to 365 days, not {valid_days}.")


def _check_percent(percent: int) -> None:
    if percent > 100:
        raise ToolRefused(f"A discount of {percent}% is more than the price; 100% is the most there is.")
    if percent < 1:
        raise ToolRefused(f"A discount must be at least 1%, not {percent}%.")


def status_sentence(order: Row) -> str:
    """What a customer wants to know first."""
    number, status, currency = order["order_id"], order["status"], order["currency"]
    total = readable(order["total_cents"], currency)
    back = readable(order["refunded_cents"], currency)
    since = f" {back} of what was paid went back." if order["refunded_cents"] else ""
    more = {
        "pending": f"It waits for the payment of {total}.",
        "processing": f"It is paid ({total}) and being packed; it can still be changed or cancelled." + since,
        "shipped": f"It was shipped with {order['carrier']} on {_day(order['shipped_at'])} "
        f"and is expected on {_day(order['expected_at'])}." + since,
        "delivered": f"It was delivered on {_day(order['delivered_at'])}." + since,
        "cancelled": f"It was cancelled on {_day(order['cancelled_at'])}; {back} went back."
        if order["refunded_cents"]
        else f"It was cancelled on {_day(order['cancelled_at'])} before anything was paid.",
        "returned": f"It came back to us; {back} of {total} went back to the {card(order)}.",
        "refunded": f"{back} of {total} went back to the {card(order)}.",
    }[status]
    return f"Order {number} is {status}. {more}"


def tracking_sentence(order: Row, stops: Sequence[Row]) -> str:
    """Where the parcel is, or why there is none."""
    number = order["order_id"]
    if not order["tracking_number"]:
        return f"Order {number} is {order['status']}, so there is no parcel to track" + (
            " yet." if order["status"] in NOT_SENT else "."
        )
    words = f"Order {number} is {order['status']}, with {order['carrier']} under {order['tracking_number']}."
    if stops:
        last = stops[-1]
        words += f" Last seen: {last['status']}, {last['place']}, {_day(last['happened_at'])}."
    return words + (f" Expected on {_day(order['expected_at'])}." if order["status"] == "shipped" else "")


def cancelled_sentence(order: Row, refund: int) -> str:
    """After a cancellation."""
    if not refund:
        why = "All that was paid had gone back before" if order["paid_cents"] else "Nothing was paid"
        return f"Order {order['order_id']} is cancelled. {why}, so nothing goes back."
    money, before = readable(refund, order["currency"]), readable(order["refunded_cents"], order["currency"])
    words = f"Order {order['order_id']} is cancelled. {money} go back to the {card(order)}"
    return f"{words} within 5 working days" + (
        f"; {before} went back before." if order["refunded_cents"] else "."
    )


def discounted_sentence(order: Row, percent: int, total: int, overpaid: int) -> str:
    """After a discount."""
    money = readable(total, order["currency"])
    words = f"Order {order['order_id']} now has {percent}% off and costs {money}."
    if overpaid:
        words += f" {readable(overpaid, order['currency'])} go back to the {card(order)}."
    return words


def _day(moment: str | None) -> str:
    return f"{clock.parse(moment):%d %B %Y}" if moment else "a day not known yet"
