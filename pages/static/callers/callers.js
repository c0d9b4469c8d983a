// The tab "Callers": the API clients that request tool calls themselves, what each may do and did, and a switch for
// its key.

import { now, onOpen } from "../shell/connection.js";
import { actionButton, chip, exact, find, messageOf, node, prose, showError, value } from "../shell/dom.js";
import { openDialog } from "../shell/dialog.js";
import { on } from "../shell/events.js";
import { plural, timeAgo, timeOfDay } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";

const MAX_REASON_CHARS = 500;
// How long after an approval has changed the numbers are read again.
const REFRESH_MS = 1000;
/** @type {Record<CallerStatus["credential"], string>} */
const CREDENTIALS = { key: "API key", user: "User", none: "No key" };

register("callers", (element) => {
  const [list, empty, problem, announcer] = [".ss-caller-list", ".ss-empty", ".ss-problem", ".ss-live"].map((selector) => find(element, selector));
  /** @type {Map<string, {element: HTMLElement, button: HTMLButtonElement, caller: CallerStatus, drawn: string}>} */
  const cards = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let refreshing;

  /** @param {CallerStatus} caller */
  function put(caller) {
    const card = cards.get(caller.name) ?? { element: node("li", { class: "ss-card ss-caller-row" }),
      button: actionButton("", "", () => askFor(card.caller)), caller, drawn: "" };
    const drawn = JSON.stringify(caller);
    cards.set(caller.name, card);
    if (card.drawn === drawn) return;
    Object.assign(card, { drawn, caller });
    const hadFocus = card.element.contains(document.activeElement);
    const isOpen = card.element.querySelector("details")?.open ?? false;
    // The button stays: a dialog gives the focus back to it.
    const { button } = card;
    button.textContent = caller.disabled ? "Enable…" : "Disable…";
    button.classList.toggle("ss-button--red", !caller.disabled);
    button.setAttribute("aria-label", `${caller.disabled ? "Enable" : "Disable"}: ${exact(caller.name)}`);
    card.element.replaceChildren(...partsOf(caller, isOpen, button));
    card.element.classList.toggle("ss-caller-row--disabled", Boolean(caller.disabled));
    if (hadFocus) button.focus();
  }

  async function load() {
    /** @type {CallerStatus[]} */
    const callers = await request("GET", "/callers");
    const names = new Set(callers.map((one) => one.name));
    for (const [name, card] of cards) if (!names.has(name)) { card.element.remove(); cards.delete(name); }
    callers.forEach((caller, index) => {
      put(caller);
      const card = cards.get(caller.name)?.element;
      if (card && list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
    });
    empty.hidden = callers.length > 0;
    empty.textContent = "No callers yet. Add them to the agents file.";
  }

  function refresh() {
    showError(problem, "");
    load().catch((error) => showError(problem, messageOf(error), refresh));
  }

  /** @param {CallerStatus} caller */
  function askFor(caller) {
    const path = `/callers/${encodeURIComponent(caller.name)}`;
    /** @param {string} action @param {object} [body] */
    const send = async (action, body) => {
      put(await request("POST", `${path}/${action}`, body));
      announcer.textContent = `${exact(caller.name)} is ${action}d`;
    };
    if (caller.disabled) {
      openDialog(["Enable ", value(caller.name), "?"], node("p", {}, "Its calls are taken again, and what is pending can be approved."),
        "Enable", () => send("enable"));
      return;
    }
    const reason = node("input", { id: "ss-disable-reason", required: true, maxlength: String(MAX_REASON_CHARS), autocomplete: "off" });
    openDialog(["Disable ", value(caller.name), "?"], node("div", { class: "ss-dialog-form" },
      node("p", {}, "Its calls are refused at once, and nothing of it begins. ", caller.pending
        ? `${plural(caller.pending, "pending approval")} can be rejected, but not approved until it is enabled again.` : ""),
      node("label", { for: "ss-disable-reason" }, "Reason (shown to colleagues)"), reason), "Disable", () => send("disable", { reason: reason.value }));
  }

  const isVisible = () => element.offsetParent !== null;
  onTab("Callers", () => requestAnimationFrame(refresh));
  onOpen(() => { if (isVisible()) refresh(); });
  on("me", ({ role }) => { if (role !== "operator" && isVisible()) refresh(); });
  on("approval", () => {
    if (!isVisible() || refreshing) return;
    refreshing = setTimeout(() => { refreshing = undefined; if (isVisible()) refresh(); }, REFRESH_MS);
  });
});

/**
 * @param {CallerStatus} caller
 * @param {boolean} isOpen whether its tools are listed
 * @param {HTMLButtonElement} button that disables or enables it
 */
function partsOf(caller, isOpen, button) {
  const { disabled } = caller;
  const writes = caller.tools.filter((tool) => tool.access === "write").length;
  return [
    node("header", {}, node("h3", {}, value(caller.name)), chip(CREDENTIALS[caller.credential]), disabled ? chip("Disabled", "red") : null,
      node("span", { class: "ss-gap" }), button),
    disabled ? node("p", { class: "ss-note ss-note--red" }, "Disabled by ", value(disabled.by), ` ${sinceText(disabled.since)}: `, prose(disabled.reason)) : null,
    node("dl", { class: "ss-caller-figures" },
      figure("Pending now", caller.pending.toLocaleString("en")),
      figure("Last call", caller.last_used_at ? timeAgo(Date.parse(caller.last_used_at), now()) : "Never"),
      figure("Calls", caller.calls.toLocaleString("en")), figure("Approved", caller.approved.toLocaleString("en")),
      figure("Rejected", caller.rejected.toLocaleString("en")), figure("Expired", caller.expired.toLocaleString("en")),
      figure("Auto-approved", caller.auto_approved.toLocaleString("en"))),
    node("dl", { class: "ss-caller-terms" },
      figure("Approvers", caller.approvers ? ["Group ", value(caller.approvers)] : "Any lead"),
      figure("Owner (can't approve its calls)", caller.owner ? value(caller.owner) : "None"),
      figure("Limits", limitsOf(caller)),
      caller.thread_prefix ? figure("Threads begin with", node("code", {}, exact(caller.thread_prefix))) : null),
    node("details", { class: "ss-caller-tools", open: isOpen }, node("summary", {}, `${plural(caller.tools.length, "tool")} (${plural(writes, "write")})`),
      node("ul", {}, caller.tools.map((tool) => node("li", {}, chip(exact(tool.name), tool.access === "write" ? "amber" : ""),
        tool.access === null ? " not a tool now" : "")))),
  ].filter((part) => part !== null);
}

/** @param {string} since */
const sinceText = (since) => `on ${new Date(since).toLocaleDateString(undefined, { day: "numeric", month: "short" })} at ${timeOfDay(since)}`;

/** @param {string} label @param {Child} content */
const figure = (label, content) => node("div", {}, node("dt", {}, label), node("dd", {}, content));

/** @param {CallerStatus} caller */
function limitsOf(caller) {
  return [`${caller.max_pending.toLocaleString("en")} pending`,
    caller.writes_per_hour === null ? "" : `${plural(caller.writes_per_hour, "write")} per hour`,
    caller.calls_per_minute === null ? "" : `${plural(caller.calls_per_minute, "call")} per minute`].filter(Boolean).join(", ");
}
