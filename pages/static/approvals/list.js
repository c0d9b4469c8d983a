// The tab "Approvals": every pending approval as a row, and the selected one with its details. Only the rows in view
// are in the page, so that a thousand scroll as smoothly as ten.

import { now } from "../shell/connection.js";
import { chip, find, linkButton, messageOf, node, visible } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { humanize, plural, timeAgo } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { money } from "../shell/money.js";
import { knownName, readName } from "../shell/customers.js";
import { onTab } from "../shell/tabs.js";
import { makeBatch } from "./batch.js";
import { EXPIRES_SOON_SECONDS, makeCard, RISKS, secondsLeft, showClaim, timeText, updateTimes } from "./card.js";
import { settleCard, updateCard } from "./card_changes.js";
import { claimOf } from "./claims.js";
import { readAhead } from "./context.js";
import { outcomeText } from "./decided.js";
import { makeDecidedView } from "./decided_view.js";
import { showDraftOrActions } from "./decision_form.js";
import { isHeld } from "./held.js";
import { listenForKeys, pressOn } from "./keyboard.js";
import { requesterText } from "./caller.js";
import { arranged, callerOf, visibleRows } from "./list_order.js";
import { nameOf } from "./names.js";
import { orderBy, pending, repeatedKeys, usualRisk } from "./pending.js";

const ROW_PX = 49;
const SOON_SECONDS = 600;
const NEW_MS = 700;
const READ_AHEAD = 2;
/** @typedef {{element: HTMLElement, approval: Approval | null, time: HTMLElement, age: HTMLElement, select: HTMLInputElement, open: HTMLElement, state: HTMLElement, marks: HTMLElement, sign: HTMLElement, customer: HTMLElement, isRepeated: boolean}} Row */

register("approval_list", (element) => {
  const [heading, total, scroller, space, loading, details, announcer, listSide] = ["h2", ".ss-count", ".ss-rows", ".ss-rows > ul",
    ".ss-loading", ".ss-desk-details", ".ss-live", ".ss-desk-list"].map((selector) => find(element, selector));
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {Set<string>} */
  const selected = new Set();
  /** @type {Approval[]} */
  let shown = [];
  let repeated = new Set();
  /** @type {string | null} */
  let usual = null;
  /** @type {Card | null} */
  let current = null;
  /** The place that the selected approval had, so that the next one takes it. */
  let lastIndex = 0;

  const soon = node("span", { class: "ss-chip ss-chip--red", role: "status", hidden: true });
  const filters = makeListFilters(() => { scroller.scrollTop = 0; orderBy(filters.read().sort); draw(); });
  const batch = makeBatch({
    view: "ss-list",
    selected: () => [...selected].map((id) => pending.get(id)).filter((one) => one !== undefined).filter((one) => !isHeld(one.approval_id)),
    shown: () => shown,
    select: (approvals) => { for (const one of approvals) selected.add(one.approval_id); draw(); },
    unselect: (ids = [...selected]) => { for (const id of ids) selected.delete(id); draw(); },
  });
  const empty = node("div", { class: "ss-empty", hidden: true });
  const keys = listenForKeys({
    current: () => current ?? undefined, move, isVisible: () => element.offsetParent !== null && !decidedView.isOpen, search: filters.focusSearch, press: pressOn,
  });
  const decidedView = makeDecidedView(find(element, ".ss-desk-decided"));
  const toggle = find(element, ".ss-decided-toggle");
  toggle.addEventListener("click", () => showDecided(!decidedView.isOpen));
  heading.after(soon, node("span", { class: "ss-gap" }));
  toggle.after(keys.button);
  scroller.before(filters.element);
  loading.after(empty, ...batch.elements, keys.help);

  /** Shows what was decided in place of what is pending, or that again. @param {boolean} isShown */
  function showDecided(isShown) {
    decidedView.toggle(isShown);
    toggle.setAttribute("aria-pressed", String(isShown));
    toggle.textContent = isShown ? "Back to pending" : "Decided";
    element.classList.toggle("ss-desk--decided", isShown);
    if (!isShown) draw();
  }

  /** Arranges the list anew after any change. */
  function draw() {
    const visibleOnes = pending.all().filter((one) => !isHeld(one.approval_id));
    repeated = repeatedKeys();
    usual = usualRisk();
    shown = arranged(visibleOnes, filters.read());
    filters.offer(visibleOnes);
    filters.count(shown.length, visibleOnes.length);
    for (const id of selected) if (!pending.get(id)) selected.delete(id);
    total.textContent = visibleOnes.length.toLocaleString("en") + (pending.isTruncated ? "+" : "");
    const soonCount = visibleOnes.filter((one) => secondsLeft(one) < SOON_SECONDS).length;
    const soonText = soonCount ? `${soonCount} expire${soonCount === 1 ? "s" : ""} within 10 min` : "";
    if (soon.textContent !== soonText) soon.textContent = soonText;
    soon.hidden = soonCount === 0;
    loading.hidden = pending.isLoaded;
    empty.hidden = !pending.isLoaded || shown.length > 0;
    empty.textContent = visibleOnes.length ? "No approval matches these filters." : "No pending approvals";
    scroller.hidden = shown.length === 0;
    space.style.height = `${shown.length * ROW_PX}px`;
    drawRows();
    batch.draw();
    keepSelection();
  }

  /** Draws the rows that are in view, in their order. */
  function drawRows() {
    const [first, end] = visibleRows(scroller.scrollTop, scroller.clientHeight || 900, ROW_PX, shown.length);
    const inView = shown.slice(first, end);
    const ids = new Set(inView.map((one) => one.approval_id));
    for (const [id, row] of rows) {
      if (ids.has(id)) continue;
      if (row.element.contains(document.activeElement)) scroller.focus({ preventScroll: true });
      row.element.remove();
      rows.delete(id);
    }
    let previous = /** @type {Element | null} */ (null);
    inView.forEach((approval, index) => {
      const row = rows.get(approval.approval_id) ?? makeRow(approval);
      updateRow(row, approval, first + index);
      const place = previous ? previous.nextElementSibling : space.firstElementChild;
      if (place !== row.element) space.insertBefore(row.element, place);
      previous = row.element;
    });
  }

  /** @param {Approval} approval @returns {Row} */
  function makeRow(approval) {
    const id = approval.approval_id;
    const [time, age, state, marks] = [node("span", { class: "ss-row-time" }), node("span"), node("span", { class: "ss-row-state" }), node("span", { class: "ss-row-marks" })];
    const [risk, color] = RISKS[approval.risk] ?? [humanize(approval.risk), ""];
    const sign = node("span", { class: `ss-risk ss-risk--${color || "grey"}`, role: "img", "aria-label": risk, title: risk });
    const customer = node("span");
    const select = node("input", { type: "checkbox", class: "ss-select", "aria-label": nameOf("Select", approval),
      onchange: () => { selected[select.checked ? "add" : "delete"](id); batch.draw(); drawRows(); } });
    const open = node("button", { type: "button", class: "ss-row-open", onclick: () => show(id, { opens: true }) },
      node("span", { class: "ss-row-title" }, visible(approval.summary)),
      node("span", { class: "ss-row-sub" }, customer, ` · ${requesterText(approval)} · `, age));
    const element = node("li", { class: "ss-row" }, select, node("span", { class: "ss-row-sign" }, sign), open, marks,
      node("span", { class: "ss-row-amount" }, approval.amount ? money(approval.amount) : ""),
      node("span", { class: "ss-row-end" }, time, state));
    element.dataset.approvalId = id;
    const row = { element, approval: null, time, age, select, open, state, marks, sign, customer, isRepeated: false };
    rows.set(id, row);
    return row;
  }

  /** @param {Row} row @param {Approval} approval @param {number} index */
  function updateRow(row, approval, index) {
    row.element.style.transform = `translateY(${index * ROW_PX}px)`;
    row.element.setAttribute("aria-setsize", String(shown.length));
    row.element.setAttribute("aria-posinset", String(index + 1));
    row.select.checked = selected.has(approval.approval_id);
    row.element.classList.toggle("ss-row--selected", row.select.checked);
    const isCurrent = approval.approval_id === current?.id;
    row.element.classList.toggle("ss-row--current", isCurrent);
    if (isCurrent) row.open.setAttribute("aria-current", "true");
    else row.open.removeAttribute("aria-current");
    row.sign.hidden = approval.risk === usual;
    const isRepeated = repeated.has(approval.duplicate_key);
    if (row.approval !== approval || isRepeated !== row.isRepeated) {
      row.approval = approval;
      row.isRepeated = isRepeated;
      showCustomer(row, approval);
      const votes = approval.votes?.length ?? 0;
      row.marks.replaceChildren(...[isRepeated ? chip("Possible duplicate", "amber") : null,
        approval.customer?.verified ? chip("Verified", "green") : null,
        approval.need === "two_leads" ? chip(`${votes} of 2 approvals`, "accent") : null].filter((one) => one !== null));
      const claim = claimOf(approval);
      row.state.textContent = claim ? (claim.isOwn ? "Claimed by you" : visible(claim.name)) : "";
    }
    updateRowTime(row);
  }

  /** @param {Row} row @param {Approval} approval */
  function showCustomer(row, approval) {
    readName(approval);
    const { customer_id: id, customer } = approval;
    row.customer.textContent = visible(customer?.name ?? (id ? knownName(id) : null) ?? id ?? "Customer not known");
  }

  /** @param {Row} row */
  function updateRowTime(row) {
    if (!row.approval) return;
    const left = secondsLeft(row.approval);
    row.time.textContent = timeText(row.approval);
    row.time.classList.toggle("ss-row-time--soon", left < SOON_SECONDS);
    row.time.classList.toggle("ss-row-time--now", left < EXPIRES_SOON_SECONDS);
    row.age.textContent = timeAgo(Date.parse(row.approval.requested_at), now());
  }

  /** Shows the details of an approval at once. @param {string} id @param {{opens?: boolean}} options `opens`: on a phone, over the list */
  function show(id, { opens = false } = {}) {
    const approval = pending.get(id);
    if (!approval) return;
    if (current?.id !== id) {
      const row = rows.get(id) ?? makeRow(approval);
      current = makeCard(approval, { failed: (error) => announce(messageOf(error)),
        large: { select: row.select, open: (other) => show(other, { opens: true }), back } });
      details.replaceChildren(current.element);
    }
    const index = shown.findIndex((one) => one.approval_id === id);
    if (index >= 0) lastIndex = index;
    if (opens) {
      element.classList.add("ss-desk--open");
      if (index >= 0) scrollTo(index);
    }
    drawRows();
    showPosition();
    shown.slice(lastIndex + 1, lastIndex + 1 + READ_AHEAD).forEach(readAhead);
  }

  function back() {
    element.classList.remove("ss-desk--open");
    if (current) rows.get(current.id)?.open.focus({ preventScroll: true });
  }

  function showPosition() {
    if (!current) return;
    const index = shown.findIndex((one) => one.approval_id === current?.id);
    current.position.textContent = index < 0 ? "" : `${index + 1} of ${shown.length}`;
  }

  function keepSelection() {
    const index = shown.findIndex((one) => one.approval_id === current?.id);
    if (index >= 0) { lastIndex = index; showPosition(); return; }
    if (current && (current.isRefused || pending.get(current.id) && !isHeld(current.id))) { showPosition(); return; }
    const hadFocus = details.contains(document.activeElement);
    const next = shown[Math.min(lastIndex, shown.length - 1)];
    if (next) { show(next.approval_id); ignorePresses(); }
    else { current = null; details.replaceChildren(); element.classList.remove("ss-desk--open"); }
    if (hadFocus) focusRow();
  }

  /** The buttons of an approval that came by itself take no click that was meant for the one before. */
  function ignorePresses() {
    const shownNow = current?.element;
    shownNow?.classList.add("ss-details--new");
    setTimeout(() => shownNow?.classList.remove("ss-details--new"), NEW_MS);
  }

  function focusRow() {
    const row = current ? rows.get(current.id) : null;
    (row?.open ?? heading).focus({ preventScroll: true });
  }

  /** Scrolls no further than needed for a row to be in view. @param {number} index */
  function scrollTo(index) {
    const place = index * ROW_PX;
    if (place < scroller.scrollTop) scroller.scrollTop = place;
    if (place + ROW_PX > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = place + ROW_PX - scroller.clientHeight;
  }

  /** @param {1 | -1} step */
  function move(step) {
    const index = shown.findIndex((one) => one.approval_id === current?.id);
    const next = shown[index + step];
    if (!next) return false;
    scrollTo(index + step);
    lastIndex = index + step;
    show(next.approval_id);
    focusRow();
    return true;
  }

  /** @param {string} text */
  const announce = (text) => { announcer.textContent = visible(text); };

  /** @param {Approval} approval */
  function noteChange(approval) {
    if (current?.id !== approval.approval_id) return;
    const card = current;
    if (approval.status === "pending") { updateCard(card, approval); return; }
    announce(`${approval.summary}: ${outcomeText(approval)}`);
    settleCard(card, approval, () => { draw(); focusRow(); }, { staysIfFocused: false });
  }

  let isScheduled = false;
  /** Draws once for all changes of a moment. */
  function schedule() {
    if (isScheduled || element.offsetParent === null) return;
    isScheduled = true;
    queueMicrotask(() => { isScheduled = false; draw(); });
  }

  scroller.addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
  new ResizeObserver(() => { if (element.offsetParent !== null) draw(); }).observe(listSide);
  on("approval", ({ approval }) => noteChange(approval));
  on("approvals", ({ items }) => items.forEach(noteChange));
  on("pending_changed", schedule);
  on("held_changed", schedule);
  on("customer_named", (customerId) => {
    for (const row of rows.values()) if (row.approval?.customer_id === customerId) showCustomer(row, row.approval);
  });
  on("show_in_list", (id) => { if (decidedView.isOpen) showDecided(false); show(id, { opens: true }); });
  on("me", () => { if (current) { showClaim(current); showDraftOrActions(current); } });
  on("undone", (ids) => { if (element.offsetParent !== null && pending.get(ids[0])) { draw(); show(ids[0]); focusRow(); } });
  onTab("Approvals", () => requestAnimationFrame(() => { if (current) showDraftOrActions(current); draw(); }));
  setInterval(() => {
    if (element.offsetParent === null) return;
    rows.forEach(updateRowTime);
    if (current) updateTimes(current);
  }, 1000);
  draw();
});

/**
 * The filters of the list.
 * @param {() => void} changed
 */
function makeListFilters(changed) {
  /** @param {string} label @param {[string, string][]} options */
  const select = (label, options) => node("select", { "aria-label": label, onchange: changed },
    options.map(([value, text]) => node("option", { value }, text)));
  const search = node("input", { type: "search", placeholder: "Search", "aria-label": "Search all approvals", maxlength: "200", autocomplete: "off", oninput: changed });
  const sort = select("Sort by", [["expiry", "Expires first"], ["risk", "Highest risk"], ["amount", "Highest amount"], ["oldest", "Oldest first"]]);
  const [tool, agent, customer] = [select("Tool", [["", "Any tool"]]), select("Requested by", [["", "Anyone"]]), select("Customer", [["", "Any customer"]])];
  /** @param {string} label */
  const amount = (label) => node("input", { type: "number", min: "0", step: "0.01", inputmode: "decimal", placeholder: label, "aria-label": label, oninput: changed });
  const [min, max] = [amount("Amount from"), amount("Amount to")];
  const status = node("span", { class: "ss-muted", role: "status" });
  let risk = "";
  const chips = ["", "high", "medium", "low"].map((name) => node("button", { type: "button", class: "ss-chip ss-chip--button", "data-risk": name,
    onclick: () => { risk = name; changed(); } }));
  const clear = linkButton("Clear filters", () => { form.reset(); risk = ""; changed(); search.focus(); });
  const more = node("details", { class: "ss-list-more" }, node("summary", {}, "Filters"),
    node("div", { class: "ss-list-fields" }, tool, agent, customer, min, max));
  const form = node("form", { class: "ss-list-filters", role: "search", "aria-label": "Approvals", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    node("div", { class: "ss-list-line" }, search, sort),
    node("div", { class: "ss-list-line" }, node("div", { class: "ss-list-chips", role: "group", "aria-label": "Risk" }, chips), more),
    node("p", {}, status, " ", clear));

  /** @param {HTMLSelectElement} field @param {[string, string][]} options */
  function offerIn(field, options) {
    const offered = [...field.options].slice(1).map((option) => option.value);
    if (options.map(([value]) => value).join("\n") === offered.join("\n")) return;
    const chosen = field.value;
    field.replaceChildren(field.options[0], ...options.map(([value, text]) => node("option", { value }, text)));
    field.value = options.some(([value]) => value === chosen) ? chosen : "";
  }

  /** @param {HTMLInputElement} field */
  const minor = (field) => (field.value === "" || !Number.isFinite(field.valueAsNumber) ? null : Math.round(field.valueAsNumber * 100));

  return {
    element: form,
    focusSearch: () => search.focus(),
    /** @returns {import("./list_order.js").ListFilter} */
    read: () => ({ q: search.value, risk, tool: tool.value, agent: agent.value, customer: customer.value, min: minor(min), max: minor(max),
      sort: /** @type {any} */ (sort.value) }),
    /** Offers what there is to choose from, with the counts by risk. @param {Approval[]} approvals */
    offer(approvals) {
      /** @param {(one: Approval) => string | null} of */
      const distinct = (of) => [...new Set(approvals.map(of).filter((one) => one !== null))].sort();
      offerIn(tool, distinct((one) => one.action).map((name) => [name, humanize(name)]));
      const titles = new Map(approvals.map((one) => [callerOf(one), requesterText(one)]));
      offerIn(agent, [...titles].sort());
      offerIn(customer, distinct((one) => one.customer_id).map((name) => [name, name]));
      for (const button of chips) {
        const name = button.dataset.risk ?? "";
        const count = name ? approvals.filter((one) => one.risk === name).length : approvals.length;
        const text = `${name ? humanize(name) : "All"} ${count.toLocaleString("en")}`;
        if (button.textContent !== text) button.textContent = text;
        button.setAttribute("aria-pressed", String(name === risk));
      }
    },
    /** @param {number} count @param {number} all */
    count(count, all) {
      const used = [tool, agent, customer, min, max].filter((field) => field.value).length;
      const isFiltered = Boolean(search.value.trim() || risk || used);
      const text = isFiltered ? `${count.toLocaleString("en")} of ${plural(all, "approval")} shown` : "";
      if (status.textContent !== text) status.textContent = text;
      clear.hidden = !isFiltered;
      find(more, "summary").textContent = used ? `Filters (${used})` : "Filters";
    },
  };
}
