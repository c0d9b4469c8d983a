"""Finds accounts, cards and payees of the demo bank, and books transfers. The rules are in `rules.py`."""

from datetime import timedelta
from typing import Any

from smart_support import clock
from smart_support.demo.bank.rules import LIMIT_HOURS
from smart_support.demo.store import DemoStore
from smart_support.errors import ToolRefused
from smart_support.tools.registry import Args

Row = dict[str, Any]


class AccountBook:
    """Accounts, cards, payees and transactions. Methods run in the store's thread; `move` inside a write.

    A balance is always the sum of its account's transactions; only `move` changes one.

    Raises:
        ToolRefused: the number does not exist; gives an example of one.
    """

    def __init__(self, store: DemoStore) -> None:
        self._store = store

    def customer(self, customer_id: str) -> Row:
        """The customer with this number."""
        sql = "SELECT * FROM customers WHERE customer_id = :id"
        return self._one(sql, customer_id, "customer", "CU-1001")

    def accounts(self, customer: Row) -> list[Row]:
        """A customer's accounts, checking first."""
        return self._store.read(
            "SELECT * FROM accounts WHERE customer_id = :id ORDER BY kind", id=customer["customer_id"]
        )

    def account(self, customer: Row, kind: str) -> Row:
        """A customer's account of this kind."""
        account = next((row for row in self.accounts(customer) if row["kind"] == kind), None)
        if account is None:
            raise ToolRefused(f"{customer['customer_id']} has no {kind} account.")
        return account

    def card(self, number: str) -> Row:
        """The card with this id, or the only one that ends in these four digits."""
        number = number.strip().upper()
        sql = "SELECT * FROM cards WHERE card_id = :id OR last4 = :id ORDER BY card_id"
        cards = self._store.read(sql, id=number)
        if not cards:
            raise ToolRefused(
                f"There is no card {number[-40:]!r}. Please give its last four digits, for example 4242."
            )
        if len(cards) > 1:
            raise ToolRefused(
                f"More than one card ends in {number}. Please give the card's id, for example CARD-3001; "
                "the list of the customer's cards shows it."
            )
        return cards[0]

    def payee(self, payee_id: str) -> Row:
        """The saved payee with this number."""
        return self._one("SELECT * FROM payees WHERE payee_id = :id", payee_id, "saved payee", "PAY-4001")

    def transaction(self, transaction_id: str) -> Row:
        """The transaction with this number."""
        sql = "SELECT * FROM transactions WHERE transaction_id = :id"
        return self._one(sql, transaction_id, "transaction", "TX-50005")

    def holder(self, owned: Row) -> Row:
        """The customer whose account a card or a transaction belongs to."""
        return self._store.read(
            "SELECT customers.* FROM customers JOIN accounts USING (customer_id) WHERE account_id = :id",
            id=owned["account_id"],
        )[0]

    def customer_in(self, args: Args) -> Row | None:
        """The customer that a call's arguments name, directly or by a card, payee or transaction."""
        if args.get("customer_id"):
            return self.customer(str(args["customer_id"]))
        if args.get("payee_id"):
            return self.customer(str(self.payee(str(args["payee_id"]))["customer_id"]))
        if args.get("card_number"):
            return self.holder(self.card(str(args["card_number"])))
        if args.get("transaction_id"):
            return self.holder(self.transaction(str(args["transaction_id"])))
        return None

    def amount_cents(self, args: Args) -> int:
        """The cents that a call would move or dispute."""
        if args.get("transaction_id"):
            return abs(int(self.transaction(str(args["transaction_id"]))["amount_cents"]))
        return int(args.get("amount_cents") or 0)

    def sent_cents(self, customer: Row) -> int:
        """The cents that a customer has transferred within the last 24 hours."""
        since = clock.now() - timedelta(hours=LIMIT_HOURS)
        rows = self._store.read(
            """SELECT coalesce(sum(amount_cents), 0) AS cents FROM transfers
               WHERE customer_id = :id AND made_at > :since""",
            id=customer["customer_id"],
            since=clock.rfc3339(since),
        )
        return int(rows[0]["cents"])

    def move(
        self, source: Row, amount_cents: int, *, to_account: Row | None = None, to_payee: Row | None = None
    ) -> str:
        """Book a transfer from `source` to an account of the bank or to a payee, and return its id."""
        transfer_id, now = f"TR-{clock.new_id()}", clock.rfc3339(clock.now())
        self._store.execute(
            """INSERT INTO transfers (transfer_id, customer_id, from_account_id, to_account_id, payee_id,
                   amount_cents, currency, made_at)
               VALUES (:id, :customer, :source, :target, :payee, :amount, :currency, :now)""",
            id=transfer_id,
            customer=source["customer_id"],
            source=source["account_id"],
            target=to_account["account_id"] if to_account else None,
            payee=to_payee["payee_id"] if to_payee else None,
            amount=amount_cents,
            currency=source["currency"],
            now=now,
        )
        other = f"Own {to_account['kind']}" if to_account else str(to_payee["name"] if to_payee else "")
        self._book(source, -amount_cents, other, transfer_id, now)
        if to_account:
            self._book(to_account, amount_cents, f"Own {source['kind']}", transfer_id, now)
        return transfer_id

    def _book(self, account: Row, amount: int, counterparty: str, transfer_id: str, now: str) -> None:
        self._store.execute(
            """INSERT INTO transactions (transaction_id, account_id, kind, amount_cents, currency,
                   counterparty, transfer_id, booked_at)
               VALUES (:id, :account, 'transfer', :amount, :currency, :counterparty, :transfer, :now)""",
            id=f"TX-{clock.new_id()}",
            account=account["account_id"],
            amount=amount,
            currency=account["currency"],
            counterparty=counterparty,
            transfer=transfer_id,
            now=now,
        )
        self._store.execute(
            "UPDATE accounts SET balance_cents = balance_cents + :amount WHERE account_id = :id",
            amount=amount,
            id=account["account_id"],
        )

    def _one(self, sql: str, number: str, noun: str, example: str) -> Row:
        number = number.strip().removeprefix("#").strip().upper()
        rows = self._store.read(sql, id=number)
        if not rows:
            raise ToolRefused(
                f"There is no {noun} {number[:40]!r}. Please check the number, for example {example}."
            )
        return rows[0]
