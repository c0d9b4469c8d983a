// "Needs a human": open escalations, and whether they were delivered.

import { now } from "../shell/connection.js";
import { actionButton, linkButton, messageOf, node, showError } from "../shell/dom.js";
import { emit, emitWhenReady, on } from "../shell/events.js";
import { timeAgo } from "../shell/format.js";
import { request } from "../shell/rest.js";
import { openTab } from "../shell/tabs.js";

/** @type {Map<string, EscalationRecord>} */
const open = new Map();
const section = node("section", { class: "ss-escalations", hidden: true, "aria-label": "Needs a human" });
const shortcut = node("button", { type: "button", class: "ss-soon", hidden: true, onclick: () => {
  section.scrollIntoView({ block: "center" });
  section.querySelector("button")?.focus({ preventScroll: true });
} });

/** The section, which follows the server's events, and a shortcut to it for the top of a long queue. */
export const escalations = { section, shortcut };

/** @param {EscalationRecord} one */
function delivery(one) {
  if (one.status === "delivered") return "Sent by webhook";
  if (one.status === "sending") return "Sending…";
  if (one.status === "no_webhook") return "No webhook configured";
  return `Delivery failed: ${one.error ?? "no answer from the webhook"}`;
}

/** @param {EscalationRecord} one */
const repeats = (one) => (one.times > 1 ? ` · ${one.times} times, last ${timeAgo(Date.parse(one.last_at), now())}` : "");

function draw() {
  section.hidden = shortcut.hidden = open.size === 0;
  shortcut.textContent = open.size === 1 ? "1 conversation needs a human" : `${open.size} conversations need a human`;
  section.replaceChildren(node("h3", {}, `Needs a human (${open.size})`), node("ul", {}, [...open.values()].map(card)));
}

/** @param {EscalationRecord} one */
function card(one) {
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  /** @param {string} label @param {string} route */
  const action = (label, route) => {
    const button = actionButton(label, "", async () => {
      button.disabled = true;
      try {
        const escalation = await request("POST", `/escalations/${encodeURIComponent(one.escalation_id)}/${route}`);
        emit("escalation_record", { escalation });
      } catch (error) {
        button.disabled = false;
        showError(problem, messageOf(error));
      }
    });
    return button;
  };
  return node("li", { class: "ss-card" }, node("p", {}, one.reason),
    node("p", { class: "ss-muted" }, `${timeAgo(Date.parse(one.requested_at), now())} · ${delivery(one)}${repeats(one)} · `,
      linkButton("Open conversation", () => { openTab("Inbox"); emitWhenReady("inbox_open", one.thread_id); })),
    problem, node("div", { class: "ss-actions" }, action("Done", "handled"), one.status === "failed" ? action("Send again", "resend") : null));
}

on("escalations", ({ items }) => {
  open.clear();
  for (const one of items) open.set(one.escalation_id, one);
  draw();
});
on("escalation_record", ({ escalation }) => {
  if (escalation.handled_by) open.delete(escalation.escalation_id);
  else open.set(escalation.escalation_id, escalation);
  draw();
});
