// Decides several selected approvals at once: their totals to confirm, then an outcome for each.

import { actionButton, linkButton, messageOf, node } from "../shell/dom.js";
import { knownName } from "../shell/customers.js";
import { humanize, plural } from "../shell/format.js";
import { totals } from "../shell/money.js";
import { request } from "../shell/rest.js";
import { claimOf, isOwnRequest } from "./claims.js";
import { cannedReasons, isAllowed } from "./decision_form.js";
import { canUndo, hold, noteDecidedHere } from "./held.js";
import { withoutId } from "./names.js";
import { emitAnswer } from "./newest.js";
import { repeatedKeys } from "./pending.js";

/** The server takes at most 100 in one request; fewer make the progress visible. */
const SLICE = 50;

/**
 * The bar for selected approvals. `selected` and `shown` give ids' approvals; `select` changes the selection.
 * @param {{selected: () => Approval[], shown: () => Approval[], select: (approvals: Approval[]) => void, unselect: (ids?: string[]) => void, view: string}} view
 */
export function makeBatch(view) {
  const bar = node("div", { class: "ss-batch", hidden: true });
  const list = node("div", { class: "ss-batch-list", hidden: true });
  const results = node("div", { class: "ss-batch-results" });
  const close = () => { list.hidden = true; };
  const status = node("b", { role: "status" });
  bar.append(status,
    actionButton("Approve…", "green", () => confirm("approve")), actionButton("Reject…", "red", () => confirm("reject")),
    linkButton("Select all", () => view.select(view.shown())), linkButton("Clear", () => view.unselect()));

  function draw() {
    const approvals = view.selected();
    bar.hidden = approvals.length === 0;
    if (approvals.length === 0) close();
    const text = describe(approvals);
    if (status.textContent !== text) status.textContent = text;
  }

  /** @param {"approve" | "reject"} decision */
  function confirm(decision) {
    const isReject = decision === "reject";
    const chosen = view.selected().filter((one) => isAllowed(one, decision) && (isReject || !isOwnRequest(one)));
    const others = view.selected().length - chosen.length;
    const reason = node("textarea", { rows: "2", maxlength: "2000", id: `${view.view}-batch-reason`, oninput: () => updateSubmit() });
    const submit = actionButton(`${isReject ? "Reject" : "Approve"} these ${chosen.length}`, isReject ? "red" : "green",
      () => decide(chosen, decision, reason.value.trim(), submit));
    const updateSubmit = () => { submit.disabled = chosen.length === 0 || (isReject && reason.value.trim() === ""); };
    updateSubmit();
    list.hidden = false;
    const repeated = repeatedKeys();
    list.replaceChildren(node("b", {}, isReject ? "Reject all of these?" : "Approve all of these?"),
      node("p", { class: "ss-batch-total" }, describe(chosen)),
      others ? node("p", { class: "ss-problem ss-problem--amber" },
        `${others} of the selected can't be ${isReject ? "rejected" : "approved"} by you.`) : "",
      node("ol", { tabindex: "0", "aria-label": "Selected approvals" }, chosen.map((approval) => node("li", {}, node("b", {}, approval.summary),
        node("span", {}, `${customerOf(approval)} · ${humanize(approval.risk)} risk`,
          repeated.has(approval.duplicate_key) ? " · possible duplicate" : "",
          approval.need === "two_leads" && !isReject ? " · first of two approvals" : "", claimNote(approval))))),
      ...(isReject ? [node("label", { for: reason.id }, "Reason (shown to the customers)"), reason, cannedReasons(reason) ?? ""] : []),
      node("div", { class: "ss-actions" }, submit, actionButton("Cancel", "", close)));
    (isReject ? reason : submit).focus();
  }

  /**
   * @param {Approval[]} chosen
   * @param {"approve" | "reject"} decision
   * @param {string} reason
   * @param {HTMLButtonElement} pressed
   */
  async function decide(chosen, decision, reason, pressed) {
    const sums = totals(chosen.map((one) => one.amount));
    const text = `${decision === "approve" ? "Approve" : "Reject"} ${plural(chosen.length, "approval")}${sums ? `, ${sums} in total` : ""}`;
    const ids = chosen.map((one) => one.approval_id);
    const send = (/** @type {string[]} */ left) => sendSlices(left, chosen, decision, reason);
    view.unselect(ids);
    close();
    if (canUndo) { hold(ids, text, send); return; }
    pressed.disabled = true;
    await send(ids);
  }

  /**
   * Sends slices one after the other. A refused approval stops none of the others; what could not be sent says so.
   * @param {string[]} ids
   * @param {Approval[]} chosen
   * @param {"approve" | "reject"} decision
   * @param {string} reason
   */
  async function sendSlices(ids, chosen, decision, reason) {
    const verb = decision === "approve" ? "approved" : "rejected";
    const summaries = new Map(chosen.map((one) => [one.approval_id, one.summary]));
    const failures = node("ul");
    const status = node("p", { role: "status" }, `Sending ${plural(ids.length, "decision")}…`);
    const done = actionButton("Close", "", () => block.remove());
    const block = node("div", { class: "ss-batch-result", role: "group", "aria-label": "Results" }, status, failures, node("div", { class: "ss-actions" }, done));
    results.append(block);
    noteDecidedHere(ids);
    let [succeeded, answered] = [0, 0];
    for (let start = 0; start < ids.length; start += SLICE) {
      const slice = ids.slice(start, start + SLICE);
      for (const one of await sendSlice(slice, decision, reason)) {
        answered += 1;
        if (one.approval) { succeeded += 1; emitAnswer(one.approval); }
        else failures.append(node("li", {}, node("b", {}, summaries.get(one.approval_id) ?? ""), ` ${withoutId(one.error?.message ?? "")}`));
      }
      status.textContent = answered < ids.length ? `${succeeded} ${verb}, ${ids.length - answered} to go…`
        : `${succeeded} of ${ids.length} ${verb}.`;
    }
    done.focus({ preventScroll: true });
  }

  return { elements: [results, bar, list], draw };
}

/** @param {string[]} ids @param {string} decision @param {string} reason @returns {Promise<BatchOutcome[]>} */
async function sendSlice(ids, decision, reason) {
  try {
    return await request("POST", "/approvals/batch", { approval_ids: ids, decision, reason: reason || null });
  } catch (error) {
    return ids.map((id) => ({ approval_id: id, approval: null, error: { message: messageOf(error) } }));
  }
}

/** `3 selected, €310.90 in total`. @param {Approval[]} approvals */
function describe(approvals) {
  const sums = totals(approvals.map((one) => one.amount));
  return `${approvals.length} selected${sums ? `, ${sums} in total` : ""}`;
}

/** @param {Approval} approval */
function customerOf({ customer, customer_id: id }) {
  return customer?.name ?? (id ? knownName(id) ?? id : "Customer not known");
}

/** @param {Approval} approval */
function claimNote(approval) {
  const claim = claimOf(approval);
  return claim && !claim.isOwn ? ` · claimed by ${claim.name}` : "";
}
