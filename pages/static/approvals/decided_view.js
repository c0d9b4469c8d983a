// The decided approvals in the tab "Approvals": outcome, who, when, and whether the call ran or why not.

import { onOpen } from "../shell/connection.js";
import { linkButton, messageOf, node, showError } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { requestPage } from "../shell/rest.js";
import { DecidedList, OUTCOMES } from "./decided.js";
import { newest } from "./newest.js";

const PAGE_SIZE = "50";
const TYPING_MS = 250;
const MOST_SHOWN = 500;

/** Fills `root` each time it is opened. @param {HTMLElement} root */
export function makeDecidedView(root) {
  let version = 0;
  let typing = 0;
  /** @type {string | null} */
  let cursor = null;
  const search = node("input", { type: "search", placeholder: "Search", "aria-label": "Search decided approvals", maxlength: "200", autocomplete: "off",
    oninput: () => { clearTimeout(typing); typing = setTimeout(load, TYPING_MS); } });
  const outcome = node("select", { "aria-label": "Outcome", onchange: () => load() }, node("option", { value: "" }, "All outcomes"),
    Object.entries(OUTCOMES).map(([status, [label]]) => node("option", { value: status }, label)));
  const list = node("ul", { "aria-label": "Decided approvals" });
  const decided = new DecidedList(list, MOST_SHOWN);
  const status = node("p", { class: "ss-muted", role: "status" });
  const problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  const more = linkButton("Show more", () => load({ isMore: true }));
  root.append(node("h3", {}, "Decided, the latest first"), node("form", { class: "ss-list-filters", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    node("div", { class: "ss-list-line" }, search, outcome)), problem, node("div", { class: "ss-decided-scroll", tabindex: "0", "aria-label": "Decided approvals" }, status, list, more));

  /** The first page, the next one, or what has changed in the first one. @param {{isMore?: boolean, isAgain?: boolean}} [which] */
  async function load({ isMore = false, isAgain = false } = {}) {
    const current = version += 1;
    const query = new URLSearchParams({ sort: "decided", limit: PAGE_SIZE });
    if (outcome.value) query.set("status", outcome.value);
    if (search.value.trim()) query.set("q", search.value.trim());
    if (isMore && cursor) query.set("cursor", cursor);
    if (!isMore && decided.isEmpty) status.textContent = "Loading…";
    try {
      /** @type {{data: Approval[], meta: {next_cursor: string | null}}} */
      const page = await requestPage("GET", `/approvals?${query}`);
      if (current !== version) return;
      showError(problem, "");
      if (!isMore && !isAgain) decided.clear();
      page.data.forEach((approval) => decided.put(newest(approval)));
      if (!isAgain) cursor = page.meta.next_cursor;
      more.hidden = cursor === null;
      status.textContent = decided.isEmpty ? (outcome.value || search.value.trim() ? "No decided approval matches these filters." : "Nothing has been decided yet.") : "";
    } catch (error) {
      if (current === version) showError(problem, `Can't load the decided approvals: ${messageOf(error)}`, load);
    }
  }

  on("approval", ({ approval }) => {
    const isShown = decided.has(approval.approval_id) || !(outcome.value || search.value.trim());
    if (!root.hidden && approval.status !== "pending" && approval.need !== "run" && isShown) { status.textContent = ""; decided.put(approval); }
  });
  // Frames of the time without a connection never come.
  onOpen(() => { if (!root.hidden) load({ isAgain: true }); });
  setInterval(() => { if (root.offsetParent !== null) decided.updateTimes(); }, 1000);

  return {
    get isOpen() { return !root.hidden; },
    /** @param {boolean} isOpen */
    toggle(isOpen) {
      root.hidden = !isOpen;
      if (isOpen) load();
    },
  };
}
