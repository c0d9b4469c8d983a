// Several approvals at once: chosen by their boxes, listed to confirm, each with its own outcome.

import { tell } from "./shell.js";
import { node, words } from "./text.js";
import { allows } from "./approval_forms.js";
import { holder } from "./queue_desk.js";
import { asked } from "./rest.js";

/** The bar for what is selected; `selected` is a set of cards, `done` is called when there is nothing more to show. */
export function makeBatch(selected, shown, changed) {
  const bar = node("div", { class: "ss-batch", hidden: true });
  const list = node("div", { class: "ss-batch-list", hidden: true });

  function draw() {
    bar.hidden = selected.size === 0;
    if (selected.size === 0) list.hidden = true;
    const act = (label, color, decision) => node("button", { type: "button", class: `ss-button ss-button--${color}`,
      onclick: () => confirm(decision) }, label);
    bar.replaceChildren(node("b", { role: "status" }, `${selected.size} selected`), act("Approve…", "green", "approve"),
      act("Reject…", "red", "reject"), link("All shown", () => { for (const card of shown()) selected.add(card); changed(); }),
      link("None", () => { selected.clear(); changed(); }));
  }

  function confirm(decision) {
    const cards = [...selected].filter((card) => allows(card.approval, decision));
    const others = selected.size - cards.length;
    const reason = node("textarea", { rows: "2", maxlength: "2000", id: "ss-batch-reason", oninput: () => { go.disabled = !allowed() || cards.length === 0; } });
    const allowed = () => decision === "approve" || reason.value.trim() !== "";
    const go = node("button", { type: "button", class: `ss-button ss-button--${decision === "approve" ? "green" : "red"}`,
      disabled: !allowed() || cards.length === 0, onclick: () => run(cards, decision, reason.value.trim(), go) },
    `${decision === "approve" ? "Approve" : "Reject"} these ${cards.length}`);
    list.hidden = false;
    list.replaceChildren(node("b", {}, decision === "approve" ? "Approve all of these?" : "Reject all of these?"),
      others ? node("p", { class: "ss-problem ss-problem--told" }, `${others} of the selected can't be ${decision === "approve" ? "approved" : "rejected"}: their agents do not take it.`) : "",
      node("ol", {}, cards.map(({ approval }) => node("li", {}, node("b", {}, words(approval.action)),
        ` · ${approval.risk} risk${approval.customer_id ? ` · ${approval.customer_id}` : ""}`,
        approval.need === "two_leads" && decision === "approve" ? " · counts as one of two" : "",
        heldByOther(approval),
        node("span", {}, approval.summary)))),
      decision === "reject" ? node("label", { for: reason.id }, "Reason, which the customers may be told") : "",
      decision === "reject" ? reason : "",
      node("div", { class: "ss-actions" }, go, node("button", { type: "button", class: "ss-button", onclick: () => { list.hidden = true; } }, "Cancel")));
    (decision === "reject" ? reason : go).focus();
  }

  async function run(cards, decision, reason, pressed) {
    pressed.disabled = true;
    try {
      const body = { approval_ids: cards.map((card) => card.id), decision, reason: reason || null };
      const outcomes = await asked("POST", "/approvals/batch", body);
      for (const one of outcomes) if (one.approval) tell("approval", { approval: one.approval });
      const missed = outcomes.filter((one) => one.error);
      for (const card of cards) selected.delete(card);
      changed();
      list.hidden = false;
      const taken = outcomes.length - missed.length;
      list.replaceChildren(node("p", { role: "status" }, `${taken} of ${outcomes.length} ${decision === "approve" ? "approved" : "rejected"}.`),
        node("ul", {}, missed.map((one) => node("li", {}, one.error.message))),
        node("div", { class: "ss-actions" }, node("button", { type: "button", class: "ss-button", onclick: () => { list.hidden = true; } }, "Close")));
      list.querySelector("button").focus({ preventScroll: true });
    } catch (error) {
      pressed.disabled = false;
      list.append(node("p", { class: "ss-problem", role: "alert" }, error.message));
    }
  }

  return { elements: [bar, list], draw };
}

function heldByOther(approval) {
  const held = holder(approval);
  return held && !held.own ? ` · ${held.name} is at work on it` : "";
}

const link = (text, onclick) => node("button", { type: "button", class: "ss-link", onclick }, text);
