"""Generates the demo software company: `<table>.json` in this folder. The output is the same on every run.

When a store is seeded, a key that ends in `_days_ago` or `_in_days` becomes a time (`started_days_ago` ->
`started_at`), so that the dates are always recent.
"""

import json
import re
from pathlib import Path
from random import Random
from typing import Any

Row = dict[str, Any]
HERE = Path(__file__).parent
random = Random(1003)

NAMES = """\
Harbour & Finch|Oak Street Dental|Bluebird Travel|Kessler Precision|Nordlys Studio|Vantage Couriers
Aldgate Chambers|Pine Ridge Brewing|Fable & Foundry|Copperline Energy|Summit Physio|Laurel Tax Advisers
Redwood Robotics|Quayside Seafood|Meridian Maps|Brightwater Labs|Tallow & Tweed|Atlas Scaffolding
Juniper Catering|Northwind Sails|Cedar Grove School|Silverbirch Homes|Lantern Books|Granite Legal
Willow Veterinary|Pixel Orchard|Ironbridge Tools|Saffron Kitchens|Marlow Architects|Otter Creek Outdoors
Hazel & Hart|Beacon Insurance|Clearwater Pumps|Foxglove Florists|Trident Marine|Umber Ceramics
Larkspur Events|Stonegate Security|Velvet Audio|Westbourne Press|Yarrow Health|Zephyr Kites
Cobalt Cycles|Driftwood Hotels|Elm Park Nursery|Falcon Freight|Gilded Bakery|Hollow Tree Games
Indigo Textiles|Jasper Mining""".replace("\n", "|").split("|")
PLACES = [
    ("Germany", "EUR"),
    ("France", "EUR"),
    ("Ireland", "EUR"),
    ("Netherlands", "EUR"),
    ("United Kingdom", "GBP"),
]
# plan -> price per seat and month in cents, and what it includes
PLANS = {
    "starter": (900, "up to 3 projects"),
    "team": (1900, "unlimited projects, shared calendars"),
    "business": (3900, "everything in team, workload planning, single sign-on"),
    "enterprise": (6900, "everything in business, audit log, a contract, a named contact"),
}
SUSPENDED = {
    "Vantage Couriers": "three payments failed",
    "Gilded Bakery": "the owner reported a sign-in that was not theirs",
    "Zephyr Kites": "the terms of use were broken",
}
REASONS = ["too expensive", "the project ended", "moved to another tool"]

# Accounts that demos use: status, plan, seats, days until the next renewal or the end of the trial.
SHOWN = {
    1001: ("active", "team", 8, 18.5),
    1002: ("active", "business", 25, 6.5),
    1003: ("trialing", "team", 5, 3.5),
    1004: ("past_due", "starter", 3, 21.5),
    1005: ("cancelled", "team", 4, 0),
    1006: ("active", "team", 6, 11.5),
    1007: ("active", "enterprise", 60, 14.5),
    1008: ("ending", "business", 12, 9.5),
}
STATUSES = ["active"] * 10 + ["trialing"] * 4 + ["past_due"] * 2 + ["ending", "cancelled", "cancelled"]


class Company:
    def __init__(self) -> None:
        self.plans = [
            {"plan": plan, "rank": rank, "seat_cents": cents, "includes": includes}
            for rank, (plan, (cents, includes)) in enumerate(PLANS.items(), 1)
        ]
        self.customers: list[Row] = []
        self.subscriptions: list[Row] = []
        self.invoices: list[Row] = []
        for number, name in enumerate(NAMES, 1001):
            self.account(number, name)

    def account(self, number: int, name: str) -> None:
        country, currency = PLACES[0] if number in SHOWN else random.choice(PLACES)
        mailbox = re.sub(r"[^a-z]+", "-", name.lower()).strip("-")
        status, plan, seats, days = SHOWN.get(number) or self.any_subscription()
        # Only a trial is recent.
        age = 11 if status == "trialing" else random.randint(70, 900)
        self.customers.append(
            {
                "customer_id": f"ACCT-{number}",
                "name": name,
                "email": f"billing@{mailbox}.example",
                "country": country,
                "status": "suspended" if name in SUSPENDED else "active",
                "suspended_reason": SUSPENDED.get(name),
                "created_days_ago": age,
            }
        )
        row: Row = {
            "subscription_id": f"SUB-{number}",
            "customer_id": f"ACCT-{number}",
            "plan": plan,
            "status": status,
            "currency": currency,
            "seats": seats,
            "monthly_cents": PLANS[plan][0] * seats,
            "started_days_ago": age,
        }
        self.subscriptions.append(row | self.term(status, plan, days))
        self.bill(row, days)

    def any_subscription(self) -> tuple[str, str, int, float]:
        plan = random.choice(["starter", "team", "team", "business", "enterprise"])
        status = random.choice(STATUSES)
        if status != "active" and plan == "enterprise":
            plan = "business"
        return status, plan, random.choice([2, 3, 5, 8, 12, 20, 40]), random.randint(1, 28) + 0.5

    def term(self, status: str, plan: str, days: float) -> Row:
        if status == "trialing":
            return {"trial_ends_in_days": days}
        if status == "cancelled":
            return {"ends_days_ago": random.randint(5, 60), "cancel_reason": random.choice(REASONS)}
        if status == "ending":
            return {"renews_in_days": days, "ends_in_days": days, "cancel_reason": random.choice(REASONS)}
        if plan == "enterprise":
            return {"renews_in_days": days, "contract_ends_in_days": random.randint(90, 300)}
        return {"renews_in_days": days}

    def bill(self, row: Row, days: float) -> None:
        """The invoices of the last three months; a trial has none."""
        if row["status"] == "trialing":
            return
        for month in range(3):
            age = 30 * (month + 1) - days if row["status"] != "cancelled" else 65 + 30 * month
            if age > row["started_days_ago"]:
                break
            self.invoices.append(
                {
                    "invoice_id": f"INV-{5001 + len(self.invoices)}",
                    "subscription_id": row["subscription_id"],
                    "status": "open" if row["status"] == "past_due" and month == 0 else "paid",
                    "amount_cents": row["monthly_cents"],
                    "currency": row["currency"],
                    "description": f"{row['plan']} plan, {row['seats']} seats, one month",
                    "issued_days_ago": age,
                }
            )


def main() -> None:
    for table, rows in vars(Company()).items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (HERE / f"{table}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
