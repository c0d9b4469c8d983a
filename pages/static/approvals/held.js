// Decisions that are held for some seconds, so that they can be undone. Nothing is sent or recorded until then, and
// a page that is left sends nothing.

import { now } from "../shell/connection.js";
import { messageOf, node } from "../shell/dom.js";
import { emit, on } from "../shell/events.js";
import { timeOfDay } from "../shell/format.js";
import { request, RequestError } from "../shell/rest.js";
import { withoutId } from "./names.js";
import { emitAnswer } from "./newest.js";

const NOT_SENT_KEY = "ss-not-sent";
const RETRY_MS = 1000;
const SECONDS = window.ssConfig.undo_seconds;
const DONE = { approved: "approved", edited: "approved with changes", rejected: "rejected", responded: "answered" };
/** @type {Set<Held>} */
const all = new Set();
const more = node("button", { type: "button", class: "ss-link ss-held-more", hidden: true, "aria-expanded": "false",
  onclick: () => { place.classList.toggle("ss-held--open"); showMore(); } });
const place = node("div", { class: "ss-held", role: "region", "aria-label": "Decisions not sent yet" }, more);

/** Approvals that this window decided. @type {Set<string>} */
const decidedHere = new Set();

/** Notes that this window decides these approvals: it is told if they then don't run. @param {string[]} ids */
export const noteDecidedHere = (ids) => ids.forEach((id) => decidedHere.add(id));

/** Whether decisions are held at all. */
export const canUndo = SECONDS > 0;

/** Whether a decision on this approval is held or being sent. @param {string} id */
export const isHeld = (id) => [...all].some((one) => one.ids.has(id));

/** How many approvals have a held decision. */
export const heldCount = () => [...all].reduce((sum, one) => sum + one.ids.size, 0);

/**
 * Holds a decision. `text` says what will happen, like "Approve: Refund £25.00 for order 1044". `send` sends it, and
 * throws where that fails: its message is then shown. Views leave out what is held.
 * @param {string[]} ids
 * @param {string} text
 * @param {(ids: string[]) => Promise<unknown>} send
 */
export function hold(ids, text, send) {
  const countdown = node("span", { class: "ss-held-time", "aria-hidden": "true" });
  const undo = node("button", { type: "button", class: "ss-button", "aria-label": `Undo: ${text}`,
    onclick: () => { release(held); emit("undone", [...held.ids]); } }, "Undo");
  const notes = node("div");
  const element = node("div", { class: "ss-card ss-held-one" }, node("p", { role: "status" }, text), notes,
    node("div", { class: "ss-actions" }, countdown, undo));
  /** @type {Held} */
  const held = { ids: new Set(ids), text, element, notes, countdown, endsAt: Date.now() + SECONDS * 1000, timer: 0, isSending: false,
    send: async () => {
      held.isSending = true;
      undo.hidden = true;
      countdown.textContent = "Sending…";
      try {
        await send([...held.ids]);
        release(held);
      } catch (error) {
        const isUnanswered = error instanceof RequestError && error.status === null;
        if (isUnanswered) await learnOutcome(held);
        release(held);
        if (held.ids.size) tell(`Not decided: ${text}.`, isUnanswered ? "The connection was lost. It is still pending; decide again." : withoutId(messageOf(error)));
      }
    } };
  held.timer = setTimeout(held.send, SECONDS * 1000);
  all.add(held);
  showCountdown(held);
  // The newest on top, so that nothing moves under the pointer.
  place.prepend(element);
  emit("held_changed", undefined);
}

/** Finds out, once the server answers again, which of the decisions it has recorded, and leaves the others. @param {Held} held */
async function learnOutcome(held) {
  held.countdown.textContent = "No answer. Checking…";
  for (;;) {
    try {
      for (const id of held.ids) {
        /** @type {Approval} */
        const approval = await request("GET", `/approvals/${encodeURIComponent(id)}`);
        if (approval.status === "pending") continue;
        held.ids.delete(id);
        emitAnswer(approval);
      }
      return;
    } catch {
      await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    }
  }
}

/** Undoes the decision that was made last. Whether there is one. */
export function undoLast() {
  const last = [...all].filter((one) => !one.isSending).at(-1);
  if (!last) return false;
  release(last);
  emit("undone", [...last.ids]);
  return true;
}

/** Forgets a held decision. @param {Held} held */
function release(held) {
  clearTimeout(held.timer);
  all.delete(held);
  held.element.remove();
  emit("held_changed", undefined);
}

/** Offers the older ones, and keeps the place beside the tabs. */
function showMore() {
  const others = all.size - 1;
  if (others < 1) place.classList.remove("ss-held--open");
  const isOpen = place.classList.contains("ss-held--open");
  more.hidden = others < 1;
  more.textContent = isOpen ? "Show the latest only" : `${others} more not sent yet`;
  more.setAttribute("aria-expanded", String(isOpen));
  const tabs = document.querySelector('[role="tablist"]')?.getBoundingClientRect();
  place.style.setProperty("--ss-held-top", `${Math.max(8, Math.round((tabs?.top ?? 0) - 4))}px`);
}

/** @param {Held} held */
function showCountdown(held) {
  const seconds = Math.max(1, Math.ceil((held.endsAt - Date.now()) / 1000));
  if (!held.isSending) held.countdown.textContent = `Sent in ${seconds} s`;
}

/** Says what became of decisions, until somebody dismisses it. @param {string} title @param {string} detail */
export function tell(title, detail) {
  const element = node("div", { class: "ss-card ss-held-one ss-held-one--amber", role: "alert" },
    node("p", {}, node("b", {}, title), " ", detail),
    node("div", { class: "ss-actions" }, node("button", { type: "button", class: "ss-button", onclick: () => element.remove() }, "Dismiss")));
  place.append(element);
  showMore();
}

/** Gives up the held decision of an approval that was decided elsewhere, or expired. @param {Approval} approval */
function giveUp(approval) {
  for (const held of all) {
    if (held.isSending || !held.ids.delete(approval.approval_id)) continue;
    const outcome = approval.status === "expired" ? "It has expired."
      : `It was already ${DONE[/** @type {keyof typeof DONE} */ (approval.status)] ?? approval.status} by ${approval.decided_by} at ${timeOfDay(approval.decided_at ?? now())}.`;
    if (held.ids.size === 0) { release(held); tell(`Not sent: ${held.text}.`, outcome); }
    else held.notes.append(node("p", { class: "ss-muted" }, `Left out: ${approval.summary}. ${outcome}`));
  }
}

/** Cancels everything, because the page is left; a page that comes back from the browser's memory sends nothing either. */
function cancelAll() {
  const texts = [...all].filter((one) => !one.isSending).map((one) => one.text);
  for (const held of all) if (!held.isSending) release(held);
  if (texts.length === 0) return;
  try { sessionStorage.setItem(NOT_SENT_KEY, JSON.stringify([...storedTexts(), ...texts])); } catch { /* the approvals are still pending */ }
}

/** @returns {string[]} */
function storedTexts() {
  try { return JSON.parse(sessionStorage.getItem(NOT_SENT_KEY) ?? "[]"); } catch { return []; }
}

/** Says what was not sent because the page was left. */
function tellNotSent() {
  for (const text of storedTexts()) tell(`Not sent: ${text}.`, "The page was left before the time to undo had ended. It is still pending.");
  try { sessionStorage.removeItem(NOT_SENT_KEY); } catch { /* nothing was stored */ }
}

/** Says why an approved call of this window was not carried out. @param {Approval} approval */
function tellNotRun(approval) {
  if (!decidedHere.has(approval.approval_id) || !["failed", "outcome_unknown"].includes(approval.execution ?? "")) return;
  decidedHere.delete(approval.approval_id);
  const isUnknown = approval.execution === "outcome_unknown";
  tell(isUnknown ? `Approved, but it may not have run: ${approval.summary}.` : `Approved, but not carried out: ${approval.summary}.`,
    approval.execution_reason ?? (isUnknown ? "Check it manually." : "Nothing was changed."));
}

on("approval", ({ approval }) => {
  if (approval.status !== "pending") giveUp(approval);
  tellNotRun(approval);
});
on("approvals", ({ items }) => items.filter((one) => one.status !== "pending").forEach(giveUp));
on("held_changed", showMore);
for (const moved of ["scroll", "resize"]) addEventListener(moved, () => { if (place.childElementCount > 1) showMore(); }, { passive: true });
addEventListener("pagehide", cancelAll);
// A page from the browser's memory shows this event; a new one may have had it before this script.
addEventListener("pageshow", tellNotSent);
setInterval(() => all.forEach(showCountdown), 250);
document.body.append(place);
tellNotSent();
