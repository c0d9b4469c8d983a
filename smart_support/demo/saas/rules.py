"""The rules of the demo software company and its sentences for customers. Nothing is stored here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from smart_support import clock
from smart_support.errors import ToolRefused
from smart_support.money import format_money

Row = dict[str, Any]
PERIOD_DAYS = 30
MAX_TRIAL_DAYS = 14
CARD_FIELDS = ("status", "plan", "seats", "monthly_cents")
TIMES = ("renews_at", "trial_ends_at", "ends_at")


def check_account(customer: Row) -> None:
    """Refuse any change on a suspended account."""
    if customer["status"] == "suspended":
        raise ToolRefused(
            f"The account {customer['customer_id']} is suspended and can't be changed here. "
            "A human colleague has to look at it first."
        )


def check_upgrade(subscription: Row, customer: Row, old: Row, new: Row, open_cents: int) -> None:
    """Refuse an upgrade to a plan that is not larger, or of a subscription with unpaid invoices."""
    number, status = subscription["subscription_id"], subscription["status"]
    if status in ("ending", "cancelled"):
        raise ToolRefused(f"Subscription {number} is cancelled, so its plan can't be changed.")
    if new["rank"] == old["rank"]:
        raise ToolRefused(f"Subscription {number} is already on the {old['plan']} plan.")
    if new["rank"] < old["rank"]:
        raise ToolRefused(
            f"The {new['plan']} plan is smaller than the {old['plan']} plan that {number} is on. "
            "Moving to a smaller plan is for a human colleague; I can hand you over."
        )
    check_account(customer)
    if open_cents:
        money = format_money(open_cents, subscription["currency"])
        raise ToolRefused(f"Subscription {number} has {money} to pay. It can be upgraded when that is paid.")


def check_cancel(subscription: Row, customer: Row) -> None:
    """Refuse to cancel a cancelled subscription, or one under contract."""
    number, contract = subscription["subscription_id"], subscription["contract_ends_at"]
    if subscription["status"] in ("ending", "cancelled"):
        raise ToolRefused(f"Subscription {number} is already cancelled; it ends on {day(subscription)}.")
    check_account(customer)
    if contract and clock.parse(contract) > clock.now():
        raise ToolRefused(
            f"Subscription {number} is under contract until {clock.parse(contract):%d %B %Y} and can't be "
            "cancelled before that. A human colleague can look at the contract with you."
        )


def check_trial(subscription: Row, customer: Row, days: int) -> datetime:
    """Return the new end of a trial; a running trial can get at most 14 days in total."""
    number, added = subscription["subscription_id"], subscription["trial_days_added"]
    if subscription["status"] != "trialing":
        raise ToolRefused(f"Subscription {number} is {subscription['status']}, not on trial.")
    check_account(customer)
    ends = clock.parse(subscription["trial_ends_at"])
    if ends <= clock.now():
        raise ToolRefused(f"The trial of {number} ended on {ends:%d %B %Y}; it can't be extended anymore.")
    if days < 1:
        raise ToolRefused(f"A trial is extended by at least 1 day, not {days}.")
    if added + days > MAX_TRIAL_DAYS:
        before = f", and {added} have been used" if added else ""
        raise ToolRefused(
            f"A trial can be extended by {MAX_TRIAL_DAYS} days in total{before}; {days} more is too long."
        )
    return ends + timedelta(days=days)


def days_left(subscription: Row) -> int:
    """The whole paid days until the next renewal; 0 on trial."""
    if subscription["status"] == "trialing" or not subscription["renews_at"]:
        return 0
    left = (clock.parse(subscription["renews_at"]) - clock.now()).days
    return min(max(left, 0), PERIOD_DAYS)


def charge(subscription: Row, new: Row) -> int:
    """The cents that an upgrade costs immediately: the difference for the days left, rounded down."""
    more: int = new["seat_cents"] * subscription["seats"] - subscription["monthly_cents"]
    return max(0, more) * days_left(subscription) // PERIOD_DAYS


def day(subscription: Row) -> str:
    """The day on which a cancelled subscription ends or ended."""
    return f"{clock.parse(subscription['ends_at']):%d %B %Y}"


def subscription_sentence(subscription: Row, customer: Row, open_cents: int) -> str:
    """The plan and status of a subscription, and what happens next."""
    number, currency = subscription["subscription_id"], subscription["currency"]
    price = format_money(subscription["monthly_cents"], currency)
    words = f"{customer['name']} ({number}) is on the {subscription['plan']} plan with "
    words += f"{subscription['seats']} seats"
    if subscription["status"] == "trialing":
        ends = f"{clock.parse(subscription['trial_ends_at']):%d %B %Y}"
        return f"{words}, on trial until {ends}; after that it costs {price} a month."
    if subscription["status"] == "cancelled":
        return f"{words}. It was cancelled and ended on {day(subscription)}."
    words += f", for {price} a month."
    if subscription["status"] == "ending":
        return f"{words} It is cancelled and ends on {day(subscription)}."
    words += f" It renews on {clock.parse(subscription['renews_at']):%d %B %Y}."
    return words + (f" {format_money(open_cents, currency)} is still to be paid." if open_cents else "")


def plans_sentence(plans: Sequence[Row]) -> str:
    """All plans, smallest first."""
    listed = "; ".join(f"{p['plan']}, {format_money(p['seat_cents'])}: {p['includes']}" for p in plans)
    return f"Our plans, with the price of one seat a month: {listed}."


def invoices_sentence(subscription: Row, invoices: Sequence[Row]) -> str:
    """The latest invoices."""
    if not invoices:
        return f"There are no invoices for {subscription['subscription_id']} yet."
    listed = "; ".join(
        f"{row['invoice_id']} of {clock.parse(row['issued_at']):%d %B %Y}, "
        f"{format_money(row['amount_cents'], row['currency'])} ({row['status']})"
        for row in invoices
    )
    return f"The latest invoices of {subscription['subscription_id']}: {listed}."


def upgraded_sentence(subscription: Row, new: Row, monthly_cents: int, charged: int) -> str:
    """After an upgrade."""
    currency = subscription["currency"]
    words = f"Subscription {subscription['subscription_id']} is now on the {new['plan']} plan, "
    words += f"for {format_money(monthly_cents, currency)} a month"
    if subscription["status"] == "trialing":
        return f"{words} once the trial has ended."
    return f"{words}. {format_money(charged, currency)} is invoiced for the remaining days of this period."
