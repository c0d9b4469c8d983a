"""The tools of the demo shop. A method's type hints and docstring are the tool's schema."""

import hashlib
from datetime import timedelta
from typing import Any

from smart_support import clock
from smart_support.demo.shop import rules
from smart_support.demo.shop.changes import EFFECT
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ToolRefused
from smart_support.money import format_money
from smart_support.tools.registry import NOBODY, Args, Call, read, write

Row = dict[str, Any]
ORDERS_SHOWN = 5
ORDERS_ON_CARD = 8


class CommerceTools(DemoToolset):
    """Looks up and changes orders of the demo shop."""

    business = "shop"
    effect = EFFECT
    fact_names = (*rules.CARD_FIELDS, "account", "country", "amount_cents", "currency")

    @read
    def get_order_status(self, order_id: str) -> Row:
        """Current status of an order: what was ordered, paid and what happens next.

        Args:
            order_id: The order's number, for example 1042.
        """
        order = self._order(order_id)
        items = self.store.read(
            "SELECT name, quantity FROM order_items WHERE order_id = :id ORDER BY line", id=order["order_id"]
        )
        return {
            "message": rules.status_sentence(order),
            "order_id": order["order_id"],
            "status": order["status"],
            "items": [f"{item['quantity']} x {item['name']}" for item in items],
            "total_cents": order["total_cents"],
            "refunded_cents": order["refunded_cents"],
            "currency": order["currency"],
            "placed_at": order["placed_at"],
        }

    @read
    def get_tracking_info(self, order_id: str) -> Row:
        """Where an order's parcel is: carrier, tracking number, last stop and expected delivery.

        Args:
            order_id: The order's number, for example 1042.
        """
        order = self._order(order_id)
        stops = self.store.read(
            "SELECT happened_at, place, status FROM tracking_events WHERE order_id = :id ORDER BY step",
            id=order["order_id"],
        )
        return {
            "message": rules.tracking_sentence(order, stops),
            "order_id": order["order_id"],
            "status": order["status"],
            "carrier": order["carrier"],
            "tracking_number": order["tracking_number"],
            "expected_at": order["expected_at"],
            "stops": stops,
        }

    @read
    def find_orders(self, email: str) -> Row:
        """A customer's latest orders, found by e-mail address.

        Args:
            email: The customer's e-mail address, or number, for example C-2001.
        """
        customer = self._customer(email)
        orders = self.store.read(
            """SELECT order_id, status, total_cents, currency, placed_at FROM orders
               WHERE customer_id = :id ORDER BY placed_at DESC LIMIT :limit""",
            id=customer["customer_id"],
            limit=ORDERS_SHOWN,
        )
        listed = "; ".join(
            f"order {row['order_id']} ({row['status']}, {format_money(row['total_cents'], row['currency'])})"
            for row in orders
        )
        words = (
            f"The latest orders of {customer['email']}: {listed}." if orders else "There are no orders yet."
        )
        return {"message": words, "orders": orders}

    @read
    def get_customer(self, customer_id: str) -> Row:
        """Who a customer is, and their latest orders with what was ordered and paid.

        Args:
            customer_id: The customer's number, for example C-2001.
        """
        customer = self._customer(customer_id)
        orders = self.store.read(
            """SELECT order_id, group_concat(name, ', ') AS items, status, total_cents, currency, placed_at
               FROM (SELECT orders.*, name FROM orders JOIN order_items USING (order_id)
                     WHERE customer_id = :id ORDER BY line)
               GROUP BY order_id ORDER BY placed_at DESC LIMIT :limit""",
            id=customer["customer_id"],
            limit=ORDERS_ON_CARD,
        )
        shown = ("customer_id", "name", "email", "country", "status")
        return {
            **{name: customer[name] for name in shown},
            "customer_since": customer["created_at"],
            "orders": orders,
        }

    @write(risk="high", idempotent=True, summary=rules.cancel_summary)
    def cancel_order(self, order_id: str, call: Call, reason: str = "") -> Row:
        """Cancel an order that has not been shipped, and refund what was paid for it.

        Args:
            order_id: The order's number, for example 1042.
            reason: Why, in the customer's words.
        """

        def work() -> Row:
            order = self._order(order_id)
            rules.check_cancel(order, self._holder(order))
            refund = order["paid_cents"] - order["refunded_cents"]
            self.store.execute(
                """UPDATE orders SET status = 'cancelled', cancelled_at = :now, cancel_reason = :reason
                   WHERE order_id = :id""",
                now=clock.rfc3339(clock.now()),
                reason=reason or None,
                id=order["order_id"],
            )
            if refund:
                self._refund(order, refund, "order cancelled", call)
            return {
                "message": rules.cancelled_sentence(order, refund),
                "order_id": order["order_id"],
                "status": "cancelled",
                "refund_cents": refund,
                "currency": order["currency"],
            }

        return self.store.once(call, f"cancel_order {order_id!r} {reason!r}", work)

    @write(idempotent=True, summary="Change the shipping address of order {order_id} to {new_address}")
    def update_shipping_address(self, order_id: str, new_address: str, call: Call) -> Row:
        """Change the address of an order that has not been shipped.

        Args:
            order_id: The order's number, for example 1042.
            new_address: The whole new address: street and number, postcode, city, country.
        """

        def work() -> Row:
            order = self._order(order_id)
            address = rules.check_address(order, self._holder(order), new_address)
            self.store.execute(
                "UPDATE orders SET shipping_address = :address WHERE order_id = :id",
                address=address,
                id=order["order_id"],
            )
            return {
                "message": f"Order {order['order_id']} will be sent to {address}.",
                "order_id": order["order_id"],
                "shipping_address": address,
            }

        return self.store.once(call, f"update_shipping_address {order_id!r} {new_address!r}", work)

    @write(risk="high", idempotent=True, summary=rules.refund_summary)
    def refund_order(
        self, order_id: str, call: Call, amount_cents: int | None = None, reason: str = ""
    ) -> Row:
        """Refund money for an order: an amount, or all that was paid if no amount is given.

        Args:
            order_id: The order's number, for example 1042.
            amount_cents: The amount in cents of the order's currency; leave it out for all that was paid.
            reason: Why, in the customer's words.
        """

        def work() -> Row:
            order = self._order(order_id)
            amount = rules.check_refund(order, self._holder(order), amount_cents)
            self._refund(order, amount, reason or "customer request", call)
            left = order["paid_cents"] - order["refunded_cents"] - amount
            if left == 0 and order["status"] == "delivered":
                self.store.execute(
                    "UPDATE orders SET status = 'refunded' WHERE order_id = :id", id=order["order_id"]
                )
            money = format_money(amount, order["currency"])
            return {
                "message": f"{money} for order {order['order_id']} will be refunded to the "
                f"{rules.card(order)} within 5 working days.",
                "order_id": order["order_id"],
                "refund_cents": amount,
                "currency": order["currency"],
            }

        return self.store.once(call, f"refund_order {order_id!r} {amount_cents} {reason!r}", work)

    @write(idempotent=True, summary="Apply a {percent}% discount to order {order_id}")
    def apply_discount(self, order_id: str, percent: int, call: Call) -> Row:
        """Give a discount on an order that exists and has not been shipped; refunds what was overpaid.

        Args:
            order_id: The order's number, for example 1042.
            percent: The discount in percent of the goods' price, 1 to 100.
        """

        def work() -> Row:
            order = self._order(order_id)
            off = rules.check_discount(order, self._holder(order), percent)
            total = order["subtotal_cents"] - off + order["shipping_cents"]
            self.store.execute(
                """UPDATE orders SET discount_percent = :percent, discount_cents = :off, total_cents = :total
                   WHERE order_id = :id""",
                percent=percent,
                off=off,
                total=total,
                id=order["order_id"],
            )
            overpaid = max(0, order["paid_cents"] - order["refunded_cents"] - total)
            if overpaid:
                self._refund(order, overpaid, f"discount of {percent}%", call)
            return {
                "message": rules.discounted_sentence(order, percent, total, overpaid),
                "order_id": order["order_id"],
                "percent": percent,
                "total_cents": total,
                "refund_cents": overpaid,
                "currency": order["currency"],
            }

        return self.store.once(call, f"apply_discount {order_id!r} {percent}", work)

    @write(idempotent=True, summary="Create a {percent}% coupon for a later order")
    def generate_coupon(self, percent: int, call: Call, valid_days: int = 30, email: str = "") -> Row:
        """Make a discount coupon for a later, next order.

        Args:
            percent: The discount in percent, 1 to 100.
            valid_days: The number of days it can be used, 1 to 365.
            email: The e-mail address, or number, for example C-2001, of the customer it is for; empty for
                anybody with the code.
        """

        def work() -> Row:
            rules.check_coupon(percent, valid_days)
            holder = self._customer(email) if email else None
            if holder:
                rules.check_account(holder)
            code, now = _coupon_code(call, percent), clock.now()
            self.store.execute(
                """INSERT INTO coupons (code, percent, customer_id, valid_days, created_at, expires_at)
                   VALUES (:code, :percent, :customer, :days, :now, :until)""",
                code=code,
                percent=percent,
                customer=holder["customer_id"] if holder else None,
                days=valid_days,
                now=clock.rfc3339(now),
                until=clock.rfc3339(now + timedelta(days=valid_days)),
            )
            return {
                "message": f"Here is a coupon for {percent}% off a later order: {code}. "
                f"It is valid for {valid_days} days.",
                "code": code,
                "percent": percent,
                "valid_days": valid_days,
            }

        return self.store.once(call, f"generate_coupon {percent} {valid_days} {email!r}", work)

    def state_of(self, args: Args) -> dict[str, Any] | None:
        """The order as a card shows it: status, money, address, and the status of its account."""
        if not args.get("order_id"):
            return None
        order = self._order(str(args["order_id"]))
        shown = {name: order[name] for name in rules.CARD_FIELDS}
        return shown | {"account": self._holder(order)["status"]}

    def facts_of(self, method: str, args: Args) -> dict[str, Any]:
        """The order, its account, and the cents that would be refunded."""
        if args.get("order_id"):
            order = self._order(str(args["order_id"]))
            holder = self._holder(order)
            shown = {name: order[name] for name in rules.CARD_FIELDS}
            whose = {"account": holder["status"], "country": holder["country"]}
            money = {"amount_cents": rules.money_out(method, order, args), "currency": order["currency"]}
            return shown | whose | money
        if args.get("email"):
            customer = self._customer(str(args["email"]))
            return {"account": customer["status"], "country": customer["country"], "amount_cents": 0}
        return {"account": "none", "amount_cents": 0}

    def customer_of(self, args: Args) -> str | None:
        """The customer whose order or e-mail address the arguments name."""
        try:
            if args.get("order_id"):
                return str(self._order(str(args["order_id"]))["customer_id"])
            return str(self._customer(str(args["email"]))["customer_id"]) if args.get("email") else NOBODY
        except ToolRefused:
            return None

    def _order(self, order_id: str) -> Row:
        number = order_id.strip().removeprefix("#").strip()
        rows = self.store.read("SELECT * FROM orders WHERE order_id = :id", id=number)
        if not rows:
            raise ToolRefused(
                f"There is no order {number[:40]!r}. Please check the number, for example 1042."
            )
        return rows[0]

    def _customer(self, email: str) -> Row:
        sql = "SELECT * FROM customers WHERE email = :email OR customer_id = :number"
        rows = self.store.read(sql, email=email.strip().lower(), number=email.strip().upper())
        if not rows:
            raise ToolRefused(f"No customer has the address {email.strip()[:80]!r}. Please check it.")
        return rows[0]

    def _holder(self, order: Row) -> Row:
        sql = "SELECT * FROM customers WHERE customer_id = :id"
        return self.store.read(sql, id=order["customer_id"])[0]

    def _refund(self, order: Row, amount: int, reason: str, call: Call) -> None:
        self.store.execute(
            """INSERT INTO refunds (refund_id, order_id, amount_cents, reason, created_at)
               VALUES (:id, :order_id, :amount, :reason, :now)""",
            id=f"R-{clock.new_id()}",
            order_id=order["order_id"],
            amount=amount,
            reason=reason,
            now=clock.rfc3339(clock.now()),
        )
        self.store.execute(
            "UPDATE orders SET refunded_cents = refunded_cents + :amount WHERE order_id = :id",
            amount=amount,
            id=order["order_id"],
        )


def _coupon_code(call: Call, percent: int) -> str:
    """The same code for the same call, and hard to guess."""
    key = call.idempotency_key or clock.new_id()
    return f"HP{percent}-{hashlib.sha256(key.encode()).hexdigest()[:8].upper()}"
