// Prints what the plain functions of the list of approvals answer, for test_approval_list_order.py.

import { arranged, visibleRows } from "../../pages/static/approvals/list_order.js";
import { otherIds } from "../../pages/static/approvals/other_ids.js";
import { decisionText, nameOf } from "../../pages/static/approvals/names.js";
import { asMoney, hundredths, money, otherAmounts, totals } from "../../pages/static/shell/money.js";
globalThis.window = { ssConfig: { decimals: JSON.parse(process.argv[2]) } };
const one = (id, expires, risk, minor, more) => ({ approval_id: id, expires_at: expires, requested_at: id, risk,
    amount: minor === null ? null : { minor, currency: "GBP" }, action: "refund", agent: "a", args: {}, summary: `Refund ${id}`,
    customer_id: null, thread_id: "t", ...more });
const all = [one("1", "3", "low", 500), one("2", "1", "high", null), one("3", "2", "high", 1000, { customer_id: "C-1" }),
    one("4", "1", "medium", 900, { caller: { name: "bot" }, args: { order_id: "1044" } })];
const none = { q: "", risk: "", tool: "", agent: "", customer: "", min: null, max: null, sort: "expiry" };
const ids = (filter) => arranged(all, { ...none, ...filter }).map((approval) => approval.approval_id).join("");
const refund = one("5", "1", "low", 2500, { summary: "Refund £25.00 for order 1044", facts: { currency: "EUR" } });
console.log(JSON.stringify({
  orders: Object.fromEntries(["expiry", "risk", "amount", "oldest"].map((sort) => [sort, ids({ sort })])),
  currencies: arranged([one("1", "1", "low", null), ...[["2", "EUR", 10000], ["3", "JPY", 25000], ["4", "EUR", 30000]].map(
    ([id, currency, minor]) => one(id, "1", "low", 0, { amount: { minor, currency } }))], { ...none, sort: "amount" }).map((approval) => approval.approval_id).join(""),
  named: ["€21.00 please, I paid £1,250.5 or 25 EUR, order 1044", "refund €31.00", "order 1044", "31,00 €", "€30. Or £31"].map((text) =>
    otherAmounts({ ...one("1", "1", "low", 3100), args: { amount_cents: 3100 } }, [text])),
  named_ids: [["1058", "The lamp of my order #1203 is broken"], ["A-9999", "order number C-2001"], ["1058", "Orders 1203 and 1204, please"],
    ["1058", "order 1058, not order 1203"], ["1058", "I live at 1203 Mill Lane"], ["1058", "my order for £1203"], ["1058", "order 12034"],
    ["1058", "order of 1203.50"], ["", "order 1203"], ["1058", "Please cancel it"]].map(([id, text]) =>
    otherIds(one("1", "1", "low", null, { args: { order_id: id, reason: text } }), [text])?.named ?? ""),
  unnamed: otherAmounts(one("1", "1", "low", 3100), ["I found it for €21.00"]),
  filters: [ids({ min: 900 }), ids({ max: 900 }), ids({ customer: "C-1" }), ids({ agent: "bot" }), ids({ risk: "high" }),
    ids({ q: "  REFUND 1044" }), ids({ tool: "cancel" })],
  rows: [visibleRows(0, 490, 49, 1000), visibleRows(4900, 490, 49, 1000), visibleRows(49000, 490, 49, 1000), visibleRows(0, 490, 49, 3)],
  decimals: [money({ minor: 2500, currency: "JPY" }), money({ minor: 1250, currency: "KWD" }), totals([{ minor: 2500, currency: "JPY" }]), hundredths({ minor: 25, currency: "JPY" })],
  money: [money({ minor: 125000, currency: "EUR" }), money({ minor: 8600, currency: "CHF" }), money({ minor: 5, currency: null }), money({ minor: 5, currency: "no" }),
    totals([refund.amount, null, refund.amount, { minor: 100, currency: "EUR" }]), totals([null]),
    asMoney("amount_cents", 2500, refund), asMoney("amount", 2500, refund), asMoney("amount_cents", "2500", refund)],
  names: [nameOf("Approve", refund), nameOf("Claim", refund), decisionText(refund, { decision: "reject" })],
}));
