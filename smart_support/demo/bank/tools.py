"""The tools of the demo bank. A method's type hints and docstring are the tool's schema.

Money can go only to a customer's own accounts and saved payees.
"""

from collections.abc import Mapping
from typing import Any, Literal

from smart_support import clock
from smart_support.demo.bank import rules
from smart_support.demo.bank.changes import EFFECT
from smart_support.demo.bank.ledger import AccountBook
from smart_support.demo.store import DemoStore
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ToolRefused
from smart_support.money import format_money
from smart_support.tools.registry import Args, Call, read, write

Row = dict[str, Any]
Kind = Literal["checking", "savings"]
TRANSACTIONS_SHOWN = 8


def _between(args: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    money = format_money(args["amount_cents"], facts.get("currency", ""))
    return f"Transfer {money} from {args['from_account']} to {args['to_account']} of {args['customer_id']}"


def _to_payee(args: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    money = format_money(args["amount_cents"], facts.get("currency", ""))
    return f"Transfer {money} from {args.get('from_account', 'checking')} to payee {args['payee_id']}"


class FintechTools(DemoToolset):
    """Looks up accounts of the demo bank, blocks cards, disputes payments and transfers money."""

    business = "fintech"
    effect = EFFECT
    fact_names = (
        "account",
        "country",
        "amount_cents",
        "currency",
        "balance_cents",
        "left_cents",
        "payee_days",
    )

    def __init__(self, store: DemoStore) -> None:
        super().__init__(store)
        self.book = AccountBook(store)

    @read
    def get_balance(self, customer_id: str) -> Row:
        """How much money is in a customer's checking and savings accounts, and the transfer limit left.

        Args:
            customer_id: The customer's number, for example CU-1001.
        """
        customer = self.book.customer(customer_id)
        accounts, sent = self.book.accounts(customer), self.book.sent_cents(customer)
        shown = [{name: row[name] for name in ("kind", "balance_cents", "currency")} for row in accounts]
        return {
            "message": rules.balance_sentence(customer, accounts, sent),
            "accounts": shown,
            "left_cents": rules.left_today(customer, sent),
            "status": customer["status"],
        }

    @read
    def list_transactions(self, customer_id: str, account: Kind = "checking") -> Row:
        """The latest transactions of a customer's account: bookings, statement.

        Args:
            customer_id: The customer's number, for example CU-1001.
            account: Which of the customer's accounts.
        """
        chosen = self.book.account(self.book.customer(customer_id), account)
        transactions = self.store.read(
            """SELECT transaction_id, kind, amount_cents, currency, counterparty, booked_at
               FROM transactions WHERE account_id = :id
               ORDER BY booked_at DESC, transaction_id DESC LIMIT :limit""",
            id=chosen["account_id"],
            limit=TRANSACTIONS_SHOWN,
        )
        return {"message": rules.transactions_sentence(chosen, transactions), "transactions": transactions}

    @read
    def list_cards(self, customer_id: str) -> Row:
        """A customer's cards, and which of them are blocked.

        Args:
            customer_id: The customer's number, for example CU-1001.
        """
        cards = self.store.read(
            """SELECT card_id, brand, last4, cards.status FROM cards JOIN accounts USING (account_id)
               WHERE customer_id = :id ORDER BY card_id""",
            id=self.book.customer(customer_id)["customer_id"],
        )
        return {"message": rules.cards_sentence(cards), "cards": cards}

    @read
    def list_payees(self, customer_id: str) -> Row:
        """The payees that a customer has saved.

        Args:
            customer_id: The customer's number, for example CU-1001.
        """
        payees = self.store.read(
            "SELECT payee_id, name, iban, currency FROM payees WHERE customer_id = :id ORDER BY payee_id",
            id=self.book.customer(customer_id)["customer_id"],
        )
        return {"message": rules.payees_sentence(payees), "payees": payees}

    @write(risk="high", idempotent=True, summary="Block card {card_number} permanently")
    def block_card(self, card_number: str, call: Call, reason: str = "") -> Row:
        """Block a card permanently that was lost, stolen or misused.

        Args:
            card_number: The card's last four digits, for example 4242, or its id, for example CARD-3001.
            reason: Why, in the customer's words.
        """

        def work() -> Row:
            card = self.book.card(card_number)
            rules.check_block(card)
            self.store.execute(
                """UPDATE cards SET status = 'blocked', blocked_at = :now, block_reason = :reason
                   WHERE card_id = :id""",
                now=clock.rfc3339(clock.now()),
                reason=reason or None,
                id=card["card_id"],
            )
            return {
                "message": f"The {card['brand']} card ending {card['last4']} is blocked and can't be used "
                "anymore.",
                "card_id": card["card_id"],
                "status": "blocked",
            }

        return self.store.once(call, f"block_card {card_number!r} {reason!r}", work)

    @write(risk="medium", idempotent=True, summary="Dispute transaction {transaction_id}: {reason}")
    def dispute_transaction(self, transaction_id: str, reason: str, call: Call) -> Row:
        """Dispute a card transaction that the customer does not recognise or that went wrong: a chargeback.

        Args:
            transaction_id: The transaction's number, for example TX-50005.
            reason: What is wrong with it, in the customer's words.
        """

        def work() -> Row:
            transaction = self.book.transaction(transaction_id)
            number = transaction["transaction_id"]
            disputed = bool(self.store.read("SELECT 1 FROM disputes WHERE transaction_id = :id", id=number))
            rules.check_dispute(transaction, self.book.holder(transaction), disputed)
            dispute_id = f"DP-{clock.new_id()}"
            self.store.execute(
                """INSERT INTO disputes (dispute_id, transaction_id, status, reason, opened_at)
                   VALUES (:id, :transaction_id, 'open', :reason, :now)""",
                id=dispute_id,
                transaction_id=number,
                reason=reason,
                now=clock.rfc3339(clock.now()),
            )
            money = format_money(-transaction["amount_cents"], transaction["currency"])
            return {
                "message": f"A dispute over {money} at {transaction['counterparty']} ({number}) is open. "
                "The bank answers within 10 working days.",
                "dispute_id": dispute_id,
                "transaction_id": number,
                "status": "open",
            }

        return self.store.once(call, f"dispute_transaction {transaction_id!r} {reason!r}", work)

    @write(risk="medium", idempotent=True, summary=_between)
    def transfer_between_accounts(
        self, customer_id: str, from_account: Kind, to_account: Kind, amount_cents: int, call: Call
    ) -> Row:
        """Transfer money between a customer's own checking and savings accounts.

        Args:
            customer_id: The customer's number, for example CU-1001.
            from_account: The account that the money leaves.
            to_account: The account that it goes to.
            amount_cents: The amount in cents of the accounts' currency.
        """

        def work() -> Row:
            customer = self.book.customer(customer_id)
            source, target = (
                self.book.account(customer, from_account),
                self.book.account(customer, to_account),
            )
            rules.check_between(source, target)
            rules.check_transfer(customer, source, amount_cents, self.book.sent_cents(customer))
            transfer_id = self.book.move(source, amount_cents, to_account=target)
            money = format_money(amount_cents, source["currency"])
            return {
                "message": f"{money} was transferred from {from_account} to {to_account} of "
                f"{customer['customer_id']}.",
                "transfer_id": transfer_id,
                "amount_cents": amount_cents,
                "currency": source["currency"],
            }

        given = f"{customer_id!r} {from_account} {to_account} {amount_cents}"
        return self.store.once(call, f"transfer_between_accounts {given}", work)

    @write(risk="high", idempotent=True, summary=_to_payee)
    def transfer_to_payee(
        self, payee_id: str, amount_cents: int, call: Call, from_account: Kind = "checking"
    ) -> Row:
        """Transfer money to a payee whom the customer has saved: pay them, send them money.

        Args:
            payee_id: The saved payee's number, for example PAY-4001.
            amount_cents: The amount in cents of the account's currency.
            from_account: The account that the money leaves.
        """

        def work() -> Row:
            payee = self.book.payee(payee_id)
            customer = self.book.customer(payee["customer_id"])
            source = self.book.account(customer, from_account)
            rules.check_same_currency(source, payee)
            rules.check_transfer(customer, source, amount_cents, self.book.sent_cents(customer))
            transfer_id = self.book.move(source, amount_cents, to_payee=payee)
            money = format_money(amount_cents, source["currency"])
            return {
                "message": f"{money} was transferred from {from_account} of {customer['customer_id']} to "
                f"{payee['name']}, {payee['iban']}.",
                "transfer_id": transfer_id,
                "amount_cents": amount_cents,
                "currency": source["currency"],
            }

        return self.store.once(call, f"transfer_to_payee {payee_id!r} {amount_cents} {from_account}", work)

    def state_of(self, args: Args) -> dict[str, Any] | None:
        """What a card shows: the balances of a transfer, or a card's status."""
        customer = self.book.customer_in(args)
        if customer is None:
            return None
        balances = {f"{row['kind']}_cents": row["balance_cents"] for row in self.book.accounts(customer)}
        known: dict[str, Any] = {"account": customer["status"], **balances}
        if args.get("card_number"):
            return {"account": customer["status"], "card": self.book.card(str(args["card_number"]))["status"]}
        if args.get("payee_id"):
            payee = self.book.payee(str(args["payee_id"]))
            return known | {"payee": payee["name"], "iban": payee["iban"]}
        return {"account": customer["status"]} if args.get("transaction_id") else known

    def facts_of(self, method: str, args: Args) -> dict[str, Any]:
        """The account, the amount and the balance, and for how many days a payee has been saved."""
        customer = self.book.customer_in(args)
        if customer is None:
            return {}
        facts = {
            "account": customer["status"],
            "country": customer["country"],
            "left_cents": rules.left_today(customer, self.book.sent_cents(customer)),
            "amount_cents": self.book.amount_cents(args),
        }
        if args.get("amount_cents") is not None:
            source = self.book.account(customer, str(args.get("from_account") or "checking"))
            facts |= {"balance_cents": source["balance_cents"], "currency": source["currency"]}
        if args.get("payee_id"):
            saved = clock.parse(self.book.payee(str(args["payee_id"]))["saved_at"])
            facts["payee_days"] = (clock.now() - saved).days
        return facts

    def customer_of(self, args: Args) -> str | None:
        """The customer whose number, card, payment or payee the arguments name."""
        try:
            customer = self.book.customer_in(args)
        except ToolRefused:
            return None
        return str(customer["customer_id"]) if customer else None
