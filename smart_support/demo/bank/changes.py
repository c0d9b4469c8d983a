"""What an approval card shows of a write to the demo bank."""

from collections.abc import Iterator

from smart_support.demo.changes import NONE, Effect, Tables, added
from smart_support.money import format_money
from smart_support.tools.registry import Change


def _describe(before: Tables, after: Tables) -> list[Change]:
    return [
        *_changed_cards(before, after),
        *_moved_balances(before, after),
        *_new_payments(before, after),
        *_new_disputes(before, after),
    ]


def _changed_cards(before: Tables, after: Tables) -> Iterator[Change]:
    was = {row["card_id"]: row["status"] for row in before["cards"]}
    for row in after["cards"]:
        if row["status"] != was[row["card_id"]]:
            subject = f"{row['brand']} card ending {row['last4']}"
            yield Change(subject, "status", was[row["card_id"]], row["status"])


def _moved_balances(before: Tables, after: Tables) -> Iterator[Change]:
    was = {row["account_id"]: row["balance_cents"] for row in before["accounts"]}
    for row in after["accounts"]:
        old = was[row["account_id"]]
        if row["balance_cents"] != old:
            subject = f"{row['kind']} of {row['customer_id']}"
            balances = format_money(old, row["currency"]), format_money(row["balance_cents"], row["currency"])
            yield Change(subject, "balance", *balances)


def _new_payments(before: Tables, after: Tables) -> Iterator[Change]:
    payees = {row["payee_id"]: row for row in after["payees"]}
    for row in added(before, after, "transfers", "transfer_id"):
        if row["payee_id"]:
            payee = payees[row["payee_id"]]
            subject = f"{payee['name']}, {payee['iban']}"
            yield Change(subject, "payment", NONE, format_money(row["amount_cents"], row["currency"]))


def _new_disputes(before: Tables, after: Tables) -> Iterator[Change]:
    transactions = {row["transaction_id"]: row for row in after["transactions"]}
    for row in added(before, after, "disputes", "dispute_id"):
        paid = transactions[row["transaction_id"]]
        subject = f"transaction {paid['transaction_id']} at {paid['counterparty']}"
        yield Change(subject, "dispute", NONE, format_money(-paid["amount_cents"], paid["currency"]))


EFFECT = Effect(("cards", "accounts", "payees", "transfers", "transactions", "disputes"), _describe)
