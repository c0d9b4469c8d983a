// Notifications that could not be delivered, with buttons to send them again.

import { now } from "../shell/connection.js";
import { actionButton, messageOf, node, showError } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { timeAgo } from "../shell/format.js";
import { request } from "../shell/rest.js";

const LOOK_AGAIN_MS = 60_000;
/** @type {Record<string, string>} */
const EVENTS = { "approval.requested": "Approval requested", "approval.expiring": "Approval expires soon", "approval.decided": "Approval decided",
  "escalation.opened": "Needs a human", frozen: "Writes frozen" };

const list = node("ul");
const heading = node("h3");
const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
const all = actionButton("Send all again", "", () => resend(all, "/notifications/resend"));
/** The section; hidden while everything could be delivered. */
export const failedNotifications = node("section", { class: "ss-escalations", hidden: true, "aria-label": "Failed notifications" },
  heading, list, problem, node("div", { class: "ss-actions" }, all));
/** @type {Map<string, HTMLElement>} */
const shown = new Map();

async function load() {
  /** @type {NotificationRecord[]} */
  const failed = await request("GET", "/notifications?status=failed");
  const ids = new Set(failed.map((one) => one.notification_id));
  for (const [id, element] of shown) {
    if (!ids.has(id)) { element.remove(); shown.delete(id); }
  }
  for (const notification of failed) {
    if (shown.has(notification.notification_id)) continue;
    const element = item(notification);
    shown.set(notification.notification_id, element);
    list.append(element);
  }
  heading.textContent = `Failed notifications (${shown.size === 100 ? "100 or more" : shown.size})`;
  failedNotifications.hidden = shown.size === 0;
  all.hidden = shown.size < 2;
}

/** @param {NotificationRecord} one */
function item(one) {
  const button = actionButton("Send again", "", () => resend(button, `/notifications/${encodeURIComponent(one.notification_id)}/resend`));
  button.setAttribute("aria-label", `Send again: ${EVENTS[one.event] ?? one.event} to ${one.recipient || one.target}`);
  return node("li", { class: "ss-card" },
    node("p", {}, EVENTS[one.event] ?? one.event, " · ", node("bdi", {}, one.recipient || one.target)),
    node("p", { class: "ss-muted" }, `${timeAgo(Date.parse(one.recorded_at), now())} · ${one.error ?? "Not delivered"}`),
    node("div", { class: "ss-actions" }, button));
}

/** @param {HTMLButtonElement} button @param {string} route */
async function resend(button, route) {
  button.disabled = true;
  problem.hidden = true;
  try {
    await request("POST", route);
    await load();
  } catch (error) {
    showError(problem, messageOf(error));
  }
  button.disabled = false;
}

/** Looks again; a failure of that shows nothing, because the next look follows. */
function look() {
  if (!document.hidden) load().catch(() => undefined);
}

let isLooking = false;
// Leads alone get this, at the start and after each new connection.
on("escalations", () => {
  look();
  if (!isLooking) setInterval(look, LOOK_AGAIN_MS);
  isLooking = true;
});
