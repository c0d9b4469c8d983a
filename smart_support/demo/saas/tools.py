"""The tools of the demo software company. A method's type hints and docstring are the tool's schema."""

from typing import Any, Literal

from smart_support import clock
from smart_support.demo.saas import rules
from smart_support.demo.saas.changes import EFFECT
from smart_support.demo.toolset import DemoToolset
from smart_support.errors import ToolRefused
from smart_support.tools.registry import NOBODY, Args, Call, read, write

Row = dict[str, Any]
Plan = Literal["starter", "team", "business", "enterprise"]
INVOICES_SHOWN = 6


class SaasTools(DemoToolset):
    """Looks up, upgrades and cancels subscriptions, and extends trials."""

    business = "saas"
    effect = EFFECT
    fact_names = (*rules.CARD_FIELDS, "account", "country", "open_cents", "amount_cents")

    @read
    def get_subscription(self, subscription_id: str) -> Row:
        """Current plan and status of a subscription: its seats, its renewal, or when a trial ends.

        Args:
            subscription_id: The subscription's or account's number, for example SUB-1003 or ACCT-1001.
        """
        subscription = self._subscription(subscription_id)
        customer, open_cents = self._holder(subscription), self._open_cents(subscription)
        shown = (
            "subscription_id",
            *rules.CARD_FIELDS,
            "currency",
            "renews_at",
            "trial_ends_at",
            "ends_at",
        )
        return {
            "message": rules.subscription_sentence(subscription, customer, open_cents),
            **{name: subscription[name] for name in shown},
            "account": customer["status"],
            "open_cents": open_cents,
        }

    @read
    def find_account(self, email: str) -> Row:
        """A customer's account and subscription, found by e-mail address.

        Args:
            email: The account's e-mail address.
        """
        email = email.strip().lower()
        rows = self.store.read("SELECT customer_id FROM customers WHERE email = :email", email=email)
        if not rows:
            raise ToolRefused(f"No account has the address {email[:80]!r}. Please check it.")
        return self.get_subscription(rows[0]["customer_id"])

    @read
    def list_plans(self) -> Row:
        """Which plans there are, what they include, and how much they cost."""
        plans = self.store.read("SELECT * FROM plans ORDER BY rank")
        return {"message": rules.plans_sentence(plans), "plans": plans}

    @read
    def list_invoices(self, subscription_id: str) -> Row:
        """The latest invoices of a subscription, paid and open.

        Args:
            subscription_id: The subscription's or account's number, for example SUB-1003 or ACCT-1001.
        """
        subscription = self._subscription(subscription_id)
        invoices = self.store.read(
            """SELECT invoice_id, status, amount_cents, currency, description, issued_at FROM invoices
               WHERE subscription_id = :id ORDER BY issued_at DESC, invoice_id DESC LIMIT :limit""",
            id=subscription["subscription_id"],
            limit=INVOICES_SHOWN,
        )
        return {"message": rules.invoices_sentence(subscription, invoices), "invoices": invoices}

    @write(risk="high", idempotent=True, summary="Upgrade {subscription_id} to the {new_plan} plan")
    def upgrade_plan(self, subscription_id: str, new_plan: Plan, call: Call) -> Row:
        """Upgrade a subscription to a larger plan at once; the difference for the days left is invoiced.

        Args:
            subscription_id: The subscription's or account's number, for example SUB-1003 or ACCT-1001.
            new_plan: The larger plan.
        """

        def work() -> Row:
            subscription = self._subscription(subscription_id)
            old, new = self._plan(subscription["plan"]), self._plan(new_plan)
            owed = self._open_cents(subscription)
            rules.check_upgrade(subscription, self._holder(subscription), old, new, owed)
            monthly, charged = new["seat_cents"] * subscription["seats"], rules.charge(subscription, new)
            self.store.execute(
                "UPDATE subscriptions SET plan = :plan, monthly_cents = :monthly WHERE subscription_id = :id",
                plan=new_plan,
                monthly=monthly,
                id=subscription["subscription_id"],
            )
            if charged:
                self._invoice(subscription, charged, f"upgrade from {old['plan']} to {new['plan']}")
            return {
                "message": rules.upgraded_sentence(subscription, new, monthly, charged),
                "subscription_id": subscription["subscription_id"],
                "plan": new_plan,
                "monthly_cents": monthly,
                "invoiced_cents": charged,
                "currency": subscription["currency"],
            }

        return self.store.once(call, f"upgrade_plan {subscription_id!r} {new_plan!r}", work)

    @write(risk="high", idempotent=True, summary="Cancel subscription {subscription_id}")
    def cancel_subscription(self, subscription_id: str, call: Call, reason: str = "") -> Row:
        """Cancel a subscription: at the end of the paid period; a trial or an unpaid one at once.

        Args:
            subscription_id: The subscription's or account's number, for example SUB-1003 or ACCT-1001.
            reason: Why, in the customer's words.
        """

        def work() -> Row:
            subscription = self._subscription(subscription_id)
            rules.check_cancel(subscription, self._holder(subscription))
            paid = subscription["status"] == "active" and rules.days_left(subscription) > 0
            status = "ending" if paid else "cancelled"
            ends_at = subscription["renews_at"] if paid else clock.rfc3339(clock.now())
            self.store.execute(
                """UPDATE subscriptions SET status = :status, ends_at = :ends, renews_at = NULL,
                   cancel_reason = :reason WHERE subscription_id = :id""",
                status=status,
                ends=ends_at,
                reason=reason or None,
                id=subscription["subscription_id"],
            )
            when = rules.day({"ends_at": ends_at}) if paid else "now"
            return {
                "message": f"Subscription {subscription['subscription_id']} is cancelled and ends {when}.",
                "subscription_id": subscription["subscription_id"],
                "status": status,
                "ends_at": ends_at,
            }

        return self.store.once(call, f"cancel_subscription {subscription_id!r} {reason!r}", work)

    @write(idempotent=True, summary="Extend the trial of {subscription_id} by {days} days")
    def extend_trial(self, subscription_id: str, days: int, call: Call) -> Row:
        """Extend a running trial, so that it ends some days later.

        Args:
            subscription_id: The subscription's or account's number, for example SUB-1003 or ACCT-1001.
            days: The number of days to add, 1 to 14 in total.
        """

        def work() -> Row:
            subscription = self._subscription(subscription_id)
            ends = rules.check_trial(subscription, self._holder(subscription), days)
            self.store.execute(
                """UPDATE subscriptions SET trial_ends_at = :ends, trial_days_added = trial_days_added + :days
                   WHERE subscription_id = :id""",
                ends=clock.rfc3339(ends),
                days=days,
                id=subscription["subscription_id"],
            )
            return {
                "message": f"The trial of {subscription['subscription_id']} now ends on {ends:%d %B %Y}.",
                "subscription_id": subscription["subscription_id"],
                "trial_ends_at": clock.rfc3339(ends),
            }

        return self.store.once(call, f"extend_trial {subscription_id!r} {days}", work)

    def state_of(self, args: Args) -> dict[str, Any] | None:
        """The subscription as a card shows it, with the days that an upgrade is charged for."""
        subscription = self._subscription(str(args["subscription_id"]))
        shown = {name: subscription[name] for name in (*rules.CARD_FIELDS, *rules.TIMES)}
        whose = {"account": self._holder(subscription)["status"]}
        owed = {"open_cents": self._open_cents(subscription), "days_left": rules.days_left(subscription)}
        return shown | whose | owed

    def facts_of(self, method: str, args: Args) -> dict[str, Any]:
        """The subscription, its account, and the cents that would be invoiced immediately."""
        subscription = self._subscription(str(args["subscription_id"]))
        holder = self._holder(subscription)
        shown = {name: subscription[name] for name in rules.CARD_FIELDS}
        whose = {"account": holder["status"], "country": holder["country"]}
        new_plan = args.get("new_plan")
        charged = rules.charge(subscription, self._plan(new_plan)) if new_plan else 0
        return shown | whose | {"open_cents": self._open_cents(subscription), "amount_cents": charged}

    def customer_of(self, args: Args) -> str | None:
        """The account whose subscription or e-mail address the arguments name."""
        if email := args.get("email"):
            sql = "SELECT customer_id FROM customers WHERE email = :email"
            rows = self.store.read(sql, email=str(email).strip().lower())
            return str(rows[0]["customer_id"]) if rows else None
        try:
            number = args.get("subscription_id")
            return str(self._subscription(str(number))["customer_id"]) if number else NOBODY
        except ToolRefused:
            return None

    def _subscription(self, number: str) -> Row:
        number = number.strip().removeprefix("#").strip().upper()
        sql = "SELECT * FROM subscriptions WHERE subscription_id = :id OR customer_id = :id"
        rows = self.store.read(sql, id=number)
        if not rows:
            raise ToolRefused(
                f"There is no subscription or account {number[:40]!r}. Please check the number, for example "
                "SUB-1003 or ACCT-1001."
            )
        return rows[0]

    def _holder(self, subscription: Row) -> Row:
        sql = "SELECT * FROM customers WHERE customer_id = :id"
        return self.store.read(sql, id=subscription["customer_id"])[0]

    def _plan(self, plan: str) -> Row:
        return self.store.read("SELECT * FROM plans WHERE plan = :plan", plan=plan)[0]

    def _open_cents(self, subscription: Row) -> int:
        owed = self.store.read(
            """SELECT coalesce(sum(amount_cents), 0) AS cents FROM invoices
               WHERE subscription_id = :id AND status = 'open'""",
            id=subscription["subscription_id"],
        )
        return int(owed[0]["cents"])

    def _invoice(self, subscription: Row, amount: int, description: str) -> None:
        self.store.execute(
            """INSERT INTO invoices
                   (invoice_id, subscription_id, status, amount_cents, currency, description, issued_at)
               VALUES (:id, :subscription_id, 'open', :amount, :currency, :description, :now)""",
            id=f"INV-{clock.new_id()}",
            subscription_id=subscription["subscription_id"],
            amount=amount,
            currency=subscription["currency"],
            description=description,
            now=clock.rfc3339(clock.now()),
        )
