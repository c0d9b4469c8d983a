"""Generates the rows of the demo shop: `<table>.json` in this folder. The output is the same on every run.

When a store is seeded, a key that ends in `_days_ago` or `_in_days` becomes a time (`placed_days_ago` ->
`placed_at`), so that the dates are always recent.
"""

import json
import unicodedata
from pathlib import Path
from random import Random
from typing import Any

Row = dict[str, Any]
HERE = Path(__file__).parent
random = Random(1042)

NAMES = """\
Maya Chen|Jonas Weber|Aisha Rahman|Luca Moretti|Sofia Almeida|Emil Lindqvist|Chloé Laurent|Tomasz Zieliński
Freya Nielsen|Oliver Grant|Priya Nair|Hugo Fernández|Nina Vogel|Daniel Okafor|Elise de Vries|Marco Bianchi
Hannah Schulz|Ravi Patel|Camille Dubois|Mateo García|Ingrid Haugen|Liam O'Connor|Zofia Kowalska|Anton Berger
Yasmin Haddad|Peter Novák|Marta Silva|Jakob Steiner|Grace Mensah|Felix Hartmann|Lena Fischer|Sam Whitfield
Amélie Rousseau|Diego Ruiz|Karin Johansson|Noah Peeters|Olga Petrenko|Theo Lambert|Isla Campbell|Mehmet Yilmaz
Giulia Romano|Bram Jansen|Eva Horváth|Callum Reid|Leila Amiri|Viktor Dahl|Rosa Martins|Stefan Keller
Nora Lund|Julien Mercier|Alice Thornton|Piotr Wójcik|Carla Esposito|Max Brandt|Saoirse Byrne|Ines Costa
Adam Sterling|Mila Jovanović|Henrik Olsen|Beatriz Torres|Finn Gallagher|Clara Hoffmann|Tariq Aziz|Ella Brooks
Matteo Conti|Wanda Mazur""".replace("\n", "|").split("|")

# place, postcode, country, currency, streets; English and French addresses put the house number first
PLACES = [
    ("Berlin", "10437", "Germany", "EUR", ["Kastanienallee", "Pappelallee", "Schliemannstraße"]),
    ("Hamburg", "22765", "Germany", "EUR", ["Bahrenfelder Straße", "Große Brunnenstraße"]),
    ("München", "80469", "Germany", "EUR", ["Fraunhoferstraße", "Klenzestraße"]),
    ("Wien", "1070", "Austria", "EUR", ["Neubaugasse", "Lindengasse"]),
    ("Zürich", "8004", "Switzerland", "CHF", ["Langstrasse", "Ankerstrasse"]),
    ("Amsterdam", "1053 NL", "Netherlands", "EUR", ["Kinkerstraat", "Bilderdijkkade"]),
    ("Antwerpen", "2018", "Belgium", "EUR", ["Mechelsesteenweg", "Lange Leemstraat"]),
    ("Lyon", "69004", "France", "EUR", ["rue de la Croix-Rousse", "rue d'Austerlitz"]),
    ("Nantes", "44000", "France", "EUR", ["rue Crébillon", "quai de la Fosse"]),
    ("Torino", "10123", "Italy", "EUR", ["Via Mazzini", "Via della Rocca"]),
    ("Porto", "4050-290", "Portugal", "EUR", ["Rua do Almada", "Rua de Cedofeita"]),
    ("Valencia", "46006", "Spain", "EUR", ["Calle Sueca", "Calle Cuba"]),
    ("Dublin", "D07 XF82", "Ireland", "EUR", ["Manor Street", "Prussia Street"]),
    ("Göteborg", "413 01", "Sweden", "EUR", ["Haga Nygata", "Linnégatan"]),
    ("Leeds", "LS6 3HN", "United Kingdom", "GBP", ["Cardigan Road", "Brudenell Avenue"]),
    ("Bristol", "BS3 1JF", "United Kingdom", "GBP", ["North Street", "Raleigh Road"]),
]
NUMBER_FIRST = {"France", "Ireland", "United Kingdom"}

PRODUCTS = [
    ("HP-1101", "Enamel camping mug, cream", 1600),
    ("HP-1102", "Enamel kettle, 1.5 l", 3900),
    ("HP-1207", "Merino throw, moss green", 8900),
    ("HP-1210", "Linen bed set, oat, 140x200", 13900),
    ("HP-1214", "Waffle towels, set of 2", 3400),
    ("HP-1303", "Beeswax candles, set of 3", 1900),
    ("HP-1311", "Brass reading lamp", 7900),
    ("HP-1320", "Oak side table", 18900),
    ("HP-1405", "Waxed canvas backpack, 20 l", 11900),
    ("HP-1409", "Wool socks, 2 pairs, size 39-42", 2200),
    ("HP-1412", "Rain jacket, slate, M", 14900),
    ("HP-1418", "Knitted beanie, rust", 2900),
    ("HP-1502", "Cast-iron skillet, 26 cm", 5400),
    ("HP-1506", "Chef's knife, 20 cm", 6900),
    ("HP-1509", "Oiled walnut cutting board", 4700),
    ("HP-1513", "Stoneware bowls, set of 4", 4400),
    ("HP-1604", "Pour-over coffee set", 3800),
    ("HP-1608", "Hand coffee grinder", 5900),
    ("HP-1702", "Garden secateurs", 3300),
    ("HP-1707", "Zinc watering can, 5 l", 4200),
    ("HP-1711", "Terracotta pots, set of 3", 2700),
    ("HP-1803", "Picnic blanket, checked", 4900),
    ("HP-1806", "Vacuum flask, 0.75 l", 3100),
    ("HP-1809", "Hammock, cotton, two-person", 9900),
]

# carrier -> format of its tracking numbers; `#` is a digit
CARRIERS = {
    "DHL": "JJD0################",
    "DPD": "0998##########",
    "UPS": "1Z999AA1##########",
    "GLS": "6###########",
    "Royal Mail": "RM#########GB",
    "PostNL": "3SHPNE#########",
}

# status -> (share of the orders, maximum and minimum age of such an order in days)
STATUSES = {
    "pending": (18, 0.1, 2),
    "processing": (46, 0.3, 3),
    "shipped": (44, 2.5, 6),
    "delivered": (82, 8, 150),
    "cancelled": (22, 3, 120),
    "returned": (16, 25, 150),
    "refunded": (12, 12, 150),
}
CARDS = [("Visa", "4242"), ("Mastercard", "5454"), ("Visa", "1881"), ("Mastercard", "8210"), ("Amex", "1005")]
FROZEN = {
    "Adam Sterling": "a payment was disputed with the bank",
    "Mila Jovanović": "a sign-in from an unknown country is being checked",
    "Tariq Aziz": "several cards were tried within an hour",
    "Wanda Mazur": "the account holder reported a stolen password",
}
CANCEL_REASONS = [
    "ordered by mistake",
    "found it cheaper",
    "delivery would be too late",
    "changed their mind",
]
RETURN_REASONS = ["wrong size", "arrived damaged", "not as expected", "duplicate gift"]

# Orders that demos use: status, customer and age in days.
SHOWN = {
    1042: ("processing", "Maya Chen", 1.2),
    1043: ("shipped", "Jonas Weber", 4.0),
    1044: ("delivered", "Aisha Rahman", 12.0),
    1045: ("cancelled", "Luca Moretti", 9.0),
    1046: ("pending", "Sofia Almeida", 0.4),
    1047: ("returned", "Emil Lindqvist", 34.0),
    1048: ("processing", "Adam Sterling", 2.1),
}
SHOWN_ITEMS = {1042: ["HP-1207", "HP-1101", "HP-1303"]}


def customers() -> list[Row]:
    rows = []
    for index, name in enumerate(NAMES):
        place = PLACES[0] if name == "Maya Chen" else random.choice(PLACES)
        folded = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss").replace("ł", "l"))
        mailbox = "".join(c for c in folded if c.isascii() and (c.isalpha() or c == " ")).replace(" ", ".")
        rows.append(
            {
                "customer_id": f"C-{2001 + index}",
                "name": name,
                "email": f"{mailbox}@example.{'org' if index % 3 == 2 else 'com'}",
                "country": place[2],
                "status": "frozen" if name in FROZEN else "active",
                "frozen_reason": FROZEN.get(name),
                "created_days_ago": random.randint(160, 1400),
                "_place": place,
                "_address": address(place),
                "_card": CARDS[0] if name == "Maya Chen" else card(),
            }
        )
    return rows


def address(place: tuple[str, str, str, str, list[str]]) -> str:
    city, postcode, country, _, streets = place
    street, number = random.choice(streets), random.randint(2, 118)
    first = f"{number} {street}" if country in NUMBER_FIRST else f"{street} {number}"
    second = f"{city} {postcode}" if country in {"Ireland", "United Kingdom"} else f"{postcode} {city}"
    return f"{first}, {second}, {country}"


def card() -> tuple[str, str]:
    brand, last4 = random.choice(CARDS)
    return brand, last4 if random.random() < 0.1 else f"{random.randint(0, 9999):04}"


def statuses() -> list[str]:
    """A status for each of the orders not in `SHOWN`, shuffled."""
    pool = [status for status, (share, _, _) in STATUSES.items() for _ in range(share)]
    for status, _, _ in SHOWN.values():
        pool.remove(status)
    random.shuffle(pool)
    return pool


def items_of(number: int) -> list[tuple[str, str, int, int]]:
    """(sku, name, unit price, quantity) of each line."""
    if number in SHOWN_ITEMS:
        return [(*product, 1) for sku in SHOWN_ITEMS[number] for product in PRODUCTS if product[0] == sku]
    chosen = random.sample(PRODUCTS, random.choice([1, 1, 2, 2, 3, 4]))
    return [(*product, 2 if product[2] < 4000 and random.random() < 0.25 else 1) for product in chosen]


class Shop:
    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {
            name: []
            for name in ("customers", "orders", "order_items", "tracking_events", "refunds", "coupons")
        }
        people = customers()
        by_name = {row["name"]: row for row in people}
        active, pool = [row for row in people if row["status"] == "active"], statuses()
        for number in range(1001, 1241):
            if number in SHOWN:
                status, name, age = SHOWN[number]
                self.order(number, by_name[name], status, age)
                continue
            status = pool.pop()
            age = round(random.uniform(*STATUSES[status][1:]), 2)
            person = random.choice(people if random.random() < 0.3 else active)
            self.order(number, person, status, age)
        self.tables["customers"] = [{k: v for k, v in row.items() if k[0] != "_"} for row in people]
        self.coupons(by_name)

    def order(self, number: int, person: Row, status: str, age: float) -> None:
        lines = items_of(number)
        subtotal = sum(price * quantity for _, _, price, quantity in lines)
        percent = random.choice([5, 10, 15, 20]) if number not in SHOWN and random.random() < 0.15 else 0
        discount = (subtotal * percent + 50) // 100
        shipping = 0 if subtotal >= 6000 else 490
        total = subtotal - discount + shipping
        paid = 0 if status == "pending" or (status == "cancelled" and number % 4 == 0) else total
        # Some returned orders are not refunded yet.
        waits = status == "returned" and number not in SHOWN and number % 3 == 0
        given_back = paid if status in ("cancelled", "returned", "refunded") and not waits else 0
        row = {
            "order_id": str(number),
            "customer_id": person["customer_id"],
            "status": status,
            "currency": person["_place"][3],
            "subtotal_cents": subtotal,
            "discount_percent": percent,
            "discount_cents": discount,
            "coupon_code": f"WELCOME{percent}" if percent in (10, 15) else None,
            "shipping_cents": shipping,
            "total_cents": total,
            "paid_cents": paid,
            "refunded_cents": given_back,
            "card_brand": person["_card"][0],
            "card_last4": person["_card"][1],
            "shipping_address": person["_address"],
            "placed_days_ago": age,
        }
        for index, (sku, name, price, quantity) in enumerate(lines, 1):
            line = {"order_id": str(number), "line": index, "sku": sku, "name": name}
            self.tables["order_items"].append(line | {"quantity": quantity, "unit_price_cents": price})
        if status in ("shipped", "delivered", "returned", "refunded"):
            row |= self.shipment(row, person["_place"])
        reason = None
        if status == "cancelled":
            reason = random.choice(CANCEL_REASONS)
            row |= {"cancelled_days_ago": round(age - 0.4, 2), "cancel_reason": reason}
        if given_back:
            self.refund(row, given_back, reason or random.choice(RETURN_REASONS))
        elif status == "delivered" and number % 9 == 0 and number not in SHOWN:
            row["refunded_cents"] = 1000
            self.refund(row, 1000, "late delivery")
        self.tables["orders"].append(row)

    def shipment(self, row: Row, place: tuple[str, str, str, str, list[str]]) -> Row:
        carrier = (
            "Royal Mail" if place[2] == "United Kingdom" else random.choice(["DHL", "DPD", "UPS", "GLS"])
        )
        carrier = "PostNL" if place[2] == "Netherlands" else carrier
        number = "".join(str(random.randint(0, 9)) if c == "#" else c for c in CARRIERS[carrier])
        age, here, out = row["placed_days_ago"], row["status"] == "shipped", row["order_id"]
        steps = [
            (age - 1.0, "Bremen, Germany", "Handed to the carrier"),
            (age - 1.6, "Hannover, Germany", "Sorted at the parcel centre"),
            (age - 2.2, f"{place[0]}, {place[2]}", "Arrived at the delivery depot"),
        ]
        shipment: Row = {"carrier": carrier, "tracking_number": number, "shipped_days_ago": round(age - 1, 2)}
        if here:
            shipment["expected_in_days"] = random.choice([1, 1, 2, 3])
        else:
            shipment["delivered_days_ago"] = round(age - 3.2, 2)
            steps.append((age - 3.2, f"{place[0]}, {place[2]}", "Delivered"))
        if row["status"] == "returned":
            steps.append((age - 14, "Bremen, Germany", "Return received"))
        for step, (days, where, text) in enumerate(steps, 1):
            event = {"order_id": out, "step": step, "happened_days_ago": round(days, 2), "place": where}
            self.tables["tracking_events"].append(event | {"status": text})
        return shipment

    def refund(self, row: Row, amount: int, reason: str) -> None:
        age = row["placed_days_ago"]
        after = {"cancelled": 0.4, "returned": 15, "refunded": 6, "delivered": 5}[row["status"]]
        self.tables["refunds"].append(
            {
                "refund_id": f"R-{3001 + len(self.tables['refunds'])}",
                "order_id": row["order_id"],
                "amount_cents": amount,
                "reason": reason,
                "created_days_ago": round(age - after, 2),
            }
        )

    def coupons(self, by_name: dict[str, Row]) -> None:
        # code, percent, customer (or all customers), validity in days, age in days
        made = [
            ("WELCOME10", 10, None, 3650, 800),
            ("WELCOME15", 15, None, 3650, 420),
            ("SPRING20", 20, None, 30, 200),
            ("THANKYOU-CHEN", 10, "Maya Chen", 90, 12),
            ("SORRY-WEBER", 15, "Jonas Weber", 60, 3),
            ("BIRTHDAY-RAHMAN", 20, "Aisha Rahman", 30, 55),
            ("LATE-MORETTI", 10, "Luca Moretti", 90, 30),
            ("VIP-LINDQVIST", 25, "Emil Lindqvist", 365, 100),
        ]
        for code, percent, whose, valid, age in made:
            holder = by_name[whose]["customer_id"] if whose else None
            row = {"code": code, "percent": percent, "customer_id": holder, "valid_days": valid}
            self.tables["coupons"].append(row | {"created_days_ago": age, "expires_in_days": valid - age})


def main() -> None:
    for table, rows in Shop().tables.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (HERE / f"{table}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
