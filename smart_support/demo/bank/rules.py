"""The rules of the demo bank and its sentences for customers. Rows come in; nothing is stored here."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from smart_support import clock
from smart_support.errors import ToolRefused
from smart_support.money import format_money

Row = dict[str, Any]
# A card payment can be disputed for so long after its booking, as in the rules of Visa and Mastercard.
DISPUTE_DAYS = 120
LIMIT_HOURS = 24


def check_customer(customer: Row) -> None:
    """Refuse to move money of a frozen customer."""
    if customer["status"] == "frozen":
        raise ToolRefused(
            f"The accounts of {customer['customer_id']} are frozen, so no money can be moved. "
            "A human colleague has to look at them first."
        )


def check_transfer(customer: Row, source: Row, amount_cents: int, sent_cents: int) -> None:
    """Refuse an amount above the balance, the limit of a transfer, or the limit of 24 hours.

    Args:
        sent_cents: what the customer has transferred in the 24 hours before.
    """
    check_customer(customer)
    currency = source["currency"]
    if amount_cents <= 0:
        raise ToolRefused("The amount to transfer must be more than zero.")
    amount = format_money(amount_cents, currency)
    if amount_cents > customer["transfer_limit_cents"]:
        most = format_money(customer["transfer_limit_cents"], currency)
        raise ToolRefused(f"{amount} is over the limit of a transfer: {most} at most.")
    left = left_today(customer, sent_cents)
    if amount_cents > left:
        raise ToolRefused(
            f"{amount} is over the limit of {LIMIT_HOURS} hours: {format_money(left, currency)} of "
            f"{format_money(customer['daily_limit_cents'], currency)} is left."
        )
    if amount_cents > source["balance_cents"]:
        held = format_money(source["balance_cents"], currency)
        raise ToolRefused(f"The {source['kind']} account holds {held}, which is less than {amount}.")


def check_between(source: Row, target: Row) -> None:
    """Refuse a transfer from an account to itself."""
    if source["account_id"] == target["account_id"]:
        raise ToolRefused(f"The money would go from {source['kind']} to {source['kind']}; name two accounts.")


def check_same_currency(source: Row, payee: Row) -> None:
    """Refuse a transfer that would need a currency conversion."""
    if source["currency"] != payee["currency"]:
        raise ToolRefused(
            f"{payee['name']} takes {payee['currency']} and the {source['kind']} account holds "
            f"{source['currency']}; transfers between currencies are for a human colleague."
        )


def check_block(card: Row) -> None:
    """Refuse to block a card twice. A frozen customer's card can be blocked."""
    if card["status"] == "blocked":
        raise ToolRefused(f"The card ending {card['last4']} is already blocked.")


def check_dispute(transaction: Row, customer: Row, disputed: bool) -> None:
    """Refuse to dispute anything but a card payment of the last 120 days, or to dispute it twice."""
    number = transaction["transaction_id"]
    if transaction["kind"] != "card" or transaction["amount_cents"] > 0:
        raise ToolRefused(
            f"Transaction {number} is not a card payment; only card payments can be disputed here."
        )
    if disputed:
        raise ToolRefused(f"Transaction {number} has already been disputed.")
    if customer["status"] == "frozen":
        raise ToolRefused(
            f"The accounts of {customer['customer_id']} are frozen; a human colleague takes disputes on them."
        )
    booked = clock.parse(transaction["booked_at"])
    if clock.now() - booked > timedelta(days=DISPUTE_DAYS):
        raise ToolRefused(
            f"Transaction {number} was booked on {booked:%d %B %Y}; a payment can be disputed for "
            f"{DISPUTE_DAYS} days."
        )


def left_today(customer: Row, sent_cents: int) -> int:
    """The cents of the 24-hour limit that are left."""
    return max(0, int(customer["daily_limit_cents"]) - sent_cents)


def balance_sentence(customer: Row, accounts: Sequence[Row], sent_cents: int) -> str:
    """The balances of all accounts, and how much can be transferred."""
    held = "; ".join(
        f"{row['kind']} {format_money(row['balance_cents'], row['currency'])}" for row in accounts
    )
    left = format_money(left_today(customer, sent_cents), accounts[0]["currency"])
    words = f"Balances of {customer['name']} ({customer['customer_id']}): {held}."
    if customer["status"] == "frozen":
        return f"{words} The accounts are frozen."
    return f"{words} Up to {left} can be transferred within {LIMIT_HOURS} hours."


def transactions_sentence(account: Row, transactions: Sequence[Row]) -> str:
    """The latest transactions, newest first."""
    if not transactions:
        return f"There are no transactions on the {account['kind']} account."
    listed = "; ".join(
        f"{row['transaction_id']} of {clock.parse(row['booked_at']):%d %B %Y}, {row['counterparty']}, "
        f"{format_money(row['amount_cents'], row['currency'])}"
        for row in transactions
    )
    return f"The latest transactions of {account['kind']} of {account['customer_id']}: {listed}."


def cards_sentence(cards: Sequence[Row]) -> str:
    """A customer's cards."""
    listed = "; ".join(f"{row['brand']} ending {row['last4']} ({row['status']})" for row in cards)
    return f"Cards: {listed}." if cards else "There are no cards."


def payees_sentence(payees: Sequence[Row]) -> str:
    """A customer's saved payees."""
    listed = "; ".join(f"{row['payee_id']} {row['name']}, {row['iban']}" for row in payees)
    return f"Saved payees: {listed}." if payees else "No payees are saved."
