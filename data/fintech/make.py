"""Generates the rows of the demo bank: `<table>.json` in this folder. The output is the same on every run.

When a store is seeded, a key that ends in `_days_ago` becomes a time (`booked_days_ago` -> `booked_at`), so
that the dates are always recent. Every balance is the sum of the account's transactions.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

Row = dict[str, Any]
HERE = Path(__file__).parent
random = Random(4242)

NAMES = """\
Eleanor Whitby|Marcus Feld|Amara Osei|Julian Roth|Sabine Koller|Conrad Ashe
Helena Brandt|Rupert Lyle|Ingeborg Falk|Dorian Meier|Celeste Arnaud|Victor Hale
Matilda Sorensen|Edmund Clarke|Paloma Reyes|Otto Winkler|Rosalind Pike|Leopold Graf
Vivian Tran|August Lindholm|Beatrix Stone|Casimir Nowak|Philippa Gray|Ansel Ritter
Marguerite Blanc|Theodora Kane|Lucian Weiss|Harriet Boyd|Sigrid Aas|Percival Dunn
Noemi Varga|Ambrose Keller|Delphine Faure|Konrad Vogt|Winifred Shaw|Isidor Lang
Octavia Bell|Jasper Thorn|Aurelia Conti|Benedict Marsh""".replace("\n", "|").split("|")
PLACES = [("Germany", "EUR"), ("Austria", "EUR"), ("Ireland", "EUR"), ("United Kingdom", "GBP")]
SHOPS = [
    ("Rewe Market", 800, 9000),
    ("City Transit", 250, 900),
    ("Harbour Fuel", 3000, 9500),
    ("Blue Door Cafe", 350, 2200),
    ("Northline Rail", 1900, 14000),
    ("Streamly", 999, 1799),
    ("Paper & Ink", 500, 4800),
    ("Volt Electronics", 4900, 89900),
    ("Grand Plaza Hotel", 9900, 42000),
]
PAYEES = [
    "Linden Property Management",
    "Stadtwerke Energie",
    "Mutual Insurance",
    "Oak Hill School",
    "A. Brewer",
]
FROZEN = {
    "Conrad Ashe": "a payment is being checked for fraud",
    "Isidor Lang": "the identity document has expired",
    "Noemi Varga": "the account holder reported a stolen phone",
}
# Customers that demos use: opening balances of checking and savings.
SHOWN = {
    1001: (640_000, 1_250_000),
    1002: (182_000, 90_000),
    1003: (2_600_000, 4_000_000),
    1004: (25_000, 0),
    1005: (910_000, 310_000),
    1006: (500_000, 800_000),
}
CARDS_OF = {1001: ["4242", "7310"], 1002: ["1881"], 1003: ["5454"], 1006: ["6006"]}
# Two customers whose cards have the same last four digits.
SHARED = {1020: "9090", 1021: "9090"}


class Bank:
    def __init__(self) -> None:
        self.customers: list[Row] = []
        self.accounts: list[Row] = []
        self.cards: list[Row] = []
        self.payees: list[Row] = []
        self.transactions: list[Row] = []
        self._digits = [f"{number:04}" for number in random.sample(range(2000, 9000), 200)]
        for number, name in enumerate(NAMES, 1001):
            self.customer(number, name)

    def customer(self, number: int, name: str) -> None:
        country, currency = PLACES[0] if number in SHOWN else random.choice(PLACES)
        customer_id, age = f"CU-{number}", random.randint(200, 2000)
        self.customers.append(
            {
                "customer_id": customer_id,
                "name": name,
                "email": f"{name.lower().replace(' ', '.')}@example.net",
                "country": country,
                "status": "frozen" if name in FROZEN else "active",
                "frozen_reason": FROZEN.get(name),
                "transfer_limit_cents": 500_000,
                "daily_limit_cents": 2_000_000 if number % 10 == 3 else 800_000,
                "created_days_ago": age,
            }
        )
        checking, savings = SHOWN.get(number) or (
            random.randint(500, 9_000) * 100,
            random.randint(0, 400) * 5_000,
        )
        account = self.account(customer_id, "checking", currency, checking, age)
        self.account(customer_id, "savings", currency, savings, age)
        self.spend(account, self.card(number, account), age)
        for place in range(2 if number in SHOWN else random.randint(0, 2)):
            self.payee(customer_id, currency, PAYEES[(number + place) % len(PAYEES)], 1 if place else 180)

    def account(self, customer_id: str, kind: str, currency: str, opening: int, age: int) -> Row:
        row = {
            "account_id": f"ACC-{2001 + len(self.accounts)}",
            "customer_id": customer_id,
            "kind": kind,
            "currency": currency,
            "balance_cents": 0,
            "opened_days_ago": age,
        }
        self.accounts.append(row)
        if opening:
            self.book(row, "opening", opening, "Opening balance", min(age, 60))
        return row

    def card(self, number: int, account: Row) -> list[str]:
        digits = CARDS_OF.get(number) or [SHARED.get(number) or self._digits.pop()]
        made = []
        for last4 in digits:
            made.append(f"CARD-{3001 + len(self.cards)}")
            blocked = number == 1002
            row: Row = {
                "card_id": made[-1],
                "account_id": account["account_id"],
                "brand": "Visa",
                "last4": last4,
            }
            row |= {"status": "blocked", "block_reason": "lost", "blocked_days_ago": 2} if blocked else {}
            self.cards.append({"status": "active"} | row | {"last4": last4})
        return made

    def spend(self, account: Row, cards: list[str], age: int) -> None:
        """Two months of an account: a salary, and card payments that it covers."""
        self.book(account, "salary", random.randint(2_100, 4_800) * 100, "Employer payroll", 21)
        for day in sorted(random.sample(range(1, 56), 7), reverse=True):
            shop, low, high = random.choice(SHOPS)
            amount = random.randint(low, high)
            if amount < account["balance_cents"]:
                self.book(account, "card", -amount, shop, day, random.choice(cards))

    def payee(self, customer_id: str, currency: str, name: str, age: int) -> None:
        iban = f"DE{random.randint(10, 99)}" + "".join(str(random.randint(0, 9)) for _ in range(18))
        self.payees.append(
            {
                "payee_id": f"PAY-{4001 + len(self.payees)}",
                "customer_id": customer_id,
                "name": name,
                "iban": iban,
                "currency": currency,
                "saved_days_ago": age,
            }
        )

    def book(
        self, account: Row, kind: str, amount: int, counterparty: str, age: float, card_id: str | None = None
    ) -> None:
        account["balance_cents"] += amount
        self.transactions.append(
            {
                "transaction_id": f"TX-{50001 + len(self.transactions)}",
                "account_id": account["account_id"],
                "kind": kind,
                "amount_cents": amount,
                "currency": account["currency"],
                "counterparty": counterparty,
                "card_id": card_id,
                "booked_days_ago": age,
            }
        )


def main() -> None:
    for table, rows in vars(Bank()).items():
        if table.startswith("_"):
            continue
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (HERE / f"{table}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
