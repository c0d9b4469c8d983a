// "Needs a person": what was escalated and nobody has seen to yet, with the state of its delivery.

import { now, on, tell } from "./shell.js";
import { ago, node } from "./text.js";
import { asked } from "./rest.js";

const open = new Map();
const section = node("section", { class: "ss-escalations", hidden: true, "aria-label": "Needs a person" });

const pointer = node("button", { type: "button", class: "ss-soon", hidden: true,
  onclick: () => { section.scrollIntoView({ block: "center" }); section.querySelector("button")?.focus({ preventScroll: true }); } });

/** The section, which fills itself as escalations come, and a way there for the top of a long queue. */
export const escalations = { section, pointer };

function delivery(one) {
  if (one.status === "delivered") return "Told by webhook";
  if (one.status === "sending") return "Being sent…";
  if (one.status === "no_webhook") return "No webhook is set; told here only";
  return `Could not be delivered: ${one.error ?? "the webhook did not answer"}`;
}

function again(one) {
  return one.times > 1 ? `${one.times} times, last ${ago(Date.parse(one.last_at), now())} · ` : "";
}

function draw() {
  section.hidden = pointer.hidden = open.size === 0;
  pointer.textContent = open.size === 1 ? "1 conversation needs a person" : `${open.size} conversations need a person`;
  section.replaceChildren(node("h3", {}, `Needs a person (${open.size})`), node("ul", {}, [...open.values()].map(card)));
}

function card(one) {
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const act = (label, route) => node("button", { type: "button", class: "ss-button", onclick: async (event) => {
    event.target.disabled = true;
    try {
      const fresh = await asked("POST", `/escalations/${encodeURIComponent(one.escalation_id)}/${route}`);
      tell("escalation_record", { escalation: fresh });
    } catch (error) {
      event.target.disabled = false;
      problem.hidden = false;
      problem.textContent = error.message;
    }
  } }, label);
  return node("li", { class: "ss-card" }, node("p", {}, one.reason),
    node("p", { class: "ss-muted" }, `${ago(Date.parse(one.requested_at), now())} · ${delivery(one)} · ${again(one)}`,
      node("button", { type: "button", class: "ss-link", onclick: () => tell("open_thread", one.thread_id) }, "conversation")),
    problem, node("div", { class: "ss-actions" }, act("Done", "handled"), one.status === "failed" ? act("Send again", "resend") : null));
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
