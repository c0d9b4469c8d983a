// Decides several selected approvals at once: a list to confirm, then an outcome for each.

import { actionButton, linkButton, messageOf, node } from "../shell/dom.js";
import { emit } from "../shell/events.js";
import { humanize } from "../shell/format.js";
import { request } from "../shell/rest.js";
import { claimOf } from "./claims.js";
import { isAllowed } from "./decision_form.js";

/**
 * The bar for selected cards. `shown` gives the cards that the filters show; `changed` is called after each change.
 * @param {Set<Card>} selected
 * @param {() => Card[]} shown
 * @param {() => void} changed
 */
export function makeBatch(selected, shown, changed) {
  const bar = node("div", { class: "ss-batch", hidden: true });
  const list = node("div", { class: "ss-batch-list", hidden: true });
  const close = () => { list.hidden = true; };

  function draw() {
    bar.hidden = selected.size === 0;
    if (selected.size === 0) close();
    bar.replaceChildren(node("b", { role: "status" }, `${selected.size} selected`),
      actionButton("Approve…", "green", () => confirm("approve")), actionButton("Reject…", "red", () => confirm("reject")),
      linkButton("Select all", () => { for (const card of shown()) selected.add(card); changed(); }),
      linkButton("Clear", () => { selected.clear(); changed(); }));
  }

  /** @param {"approve" | "reject"} decision */
  function confirm(decision) {
    const isReject = decision === "reject";
    const cards = [...selected].filter((card) => isAllowed(card.approval, decision));
    const others = selected.size - cards.length;
    const reason = node("textarea", { rows: "2", maxlength: "2000", id: "ss-batch-reason", oninput: () => updateSubmit() });
    const submit = actionButton(`${isReject ? "Reject" : "Approve"} these ${cards.length}`, isReject ? "red" : "green",
      () => decide(cards, decision, reason.value.trim(), submit));
    const updateSubmit = () => { submit.disabled = cards.length === 0 || (isReject && reason.value.trim() === ""); };
    updateSubmit();
    list.hidden = false;
    list.replaceChildren(node("b", {}, isReject ? "Reject all of these?" : "Approve all of these?"),
      others ? node("p", { class: "ss-problem ss-problem--amber" },
        `${others} of the selected can't be ${isReject ? "rejected" : "approved"}: the agent doesn't support it.`) : "",
      node("ol", {}, cards.map(({ approval }) => node("li", {}, node("b", {}, humanize(approval.action)),
        ` · ${approval.risk} risk${approval.customer_id ? ` · ${approval.customer_id}` : ""}`,
        approval.need === "two_leads" && !isReject ? " · first of two approvals" : "",
        claimNote(approval),
        node("span", {}, approval.summary)))),
      ...(isReject ? [node("label", { for: reason.id }, "Reason (shown to the customers)"), reason] : []),
      node("div", { class: "ss-actions" }, submit, actionButton("Cancel", "", close)));
    (isReject ? reason : submit).focus();
  }

  /**
   * @param {Card[]} cards
   * @param {"approve" | "reject"} decision
   * @param {string} reason
   * @param {HTMLButtonElement} pressed
   */
  async function decide(cards, decision, reason, pressed) {
    pressed.disabled = true;
    try {
      const body = { approval_ids: cards.map((card) => card.id), decision, reason: reason || null };
      /** @type {{approval: Approval | null, error: {message: string} | null}[]} */
      const outcomes = await request("POST", "/approvals/batch", body);
      for (const one of outcomes) if (one.approval) emit("approval", { approval: one.approval });
      const failures = outcomes.flatMap((one) => (one.error ? [one.error.message] : []));
      for (const card of cards) selected.delete(card);
      changed();
      list.hidden = false;
      const done = actionButton("Close", "", close);
      list.replaceChildren(node("p", { role: "status" },
        `${outcomes.length - failures.length} of ${outcomes.length} ${decision === "approve" ? "approved" : "rejected"}.`),
        node("ul", {}, failures.map((message) => node("li", {}, message))), node("div", { class: "ss-actions" }, done));
      done.focus({ preventScroll: true });
    } catch (error) {
      pressed.disabled = false;
      list.append(node("p", { class: "ss-problem", role: "alert" }, messageOf(error)));
    }
  }

  return { elements: [bar, list], draw };
}

/** @param {Approval} approval */
function claimNote(approval) {
  const claim = claimOf(approval);
  return claim && !claim.isOwn ? ` · claimed by ${claim.name}` : "";
}
