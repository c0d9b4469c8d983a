// The list of conversations: filtered, searched, a page at a time, and changed in place as the server tells it.

import { chip, find, messageOf, node, prose, showError, value } from "../shell/dom.js";
import { agentTitle } from "../shell/format.js";
import { readName } from "../shell/customers.js";
import { requestPage } from "../shell/rest.js";
import { customerName, isLead, isMe, shortTime, speaker, waitingTime } from "./names.js";

const TYPING_MS = 250;
const PAGE_SIZE = "50";
const COUNTS_MS = 1000;
/** @type {[string, string][]} */
const FILTERS = [["all", "All"], ["waiting", "Waiting"], ["escalated", "Escalated"], ["active", "Active"],
  ["mine", "Mine"], ["ended", "Ended"]];
/** @type {Record<string, (item: InboxItem) => boolean>} */
const FITS = {
  all: (item) => item.status !== "ended", waiting: (item) => item.pending > 0,
  escalated: (item) => item.escalation !== null, active: (item) => item.status === "active",
  mine: (item) => isMe(item.taken_by), ended: (item) => item.status === "ended",
};

/**
 * The list. `opened` is called with a conversation that the user opens.
 * @param {HTMLElement} root
 * @param {(item: InboxItem) => void} opened
 */
export function makeList(root, opened) {
  const [list, none, problem, group] = [".ss-inbox-items", ".ss-inbox-none", ".ss-problem", ".ss-inbox-filters"]
    .map((selector) => find(root, selector));
  const search = find(root, ".ss-inbox-search input", HTMLInputElement);
  const more = find(root, ".ss-inbox-more", HTMLButtonElement);
  /** @typedef {{item: InboxItem, element: HTMLElement, button: HTMLButtonElement}} Row */
  /** @type {Map<string, Row>} */
  const rows = new Map();
  /** @type {WeakMap<Element, Row>} */
  const rowOf = new WeakMap();
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  let filter = "all";
  /** @type {Record<string, number>} */
  let counts = {};
  /** @type {string | null} */
  let cursor = null;
  /** @type {string | null} */
  let openThread = null;
  /** Changes that came while a page was loading: it may be of the time before. @type {InboxChange[] | null} */
  let changes = null;
  /** Conversations to put in their place once the pointer is up; null while it is. @type {Set<string> | null} */
  let unplaced = null;
  let version = 0;
  let typing = 0;
  let counting = 0;

  function drawFilters() {
    for (const [name, label] of FILTERS) {
      let button = buttons.get(name);
      if (!button) {
        button = node("button", { type: "button", class: "ss-chip", onclick: () => choose(name) });
        buttons.set(name, button);
        group.append(button);
      }
      button.hidden = name === "mine" && !isLead();
      const count = name in counts ? ` ${counts[name].toLocaleString("en")}` : "";
      const text = label + count;
      if (button.textContent !== text) button.replaceChildren(label, node("b", {}, count));
      button.setAttribute("aria-pressed", String(name === filter));
      button.classList.toggle("ss-chip--accent", name === filter);
    }
  }

  /** @param {string} name */
  function choose(name) {
    filter = name;
    drawFilters();
    load();
  }

  async function load({ isMore = false } = {}) {
    const current = version += 1;
    const query = new URLSearchParams({ filter, limit: PAGE_SIZE });
    if (search.value.trim()) query.set("q", search.value.trim());
    if (isMore && cursor) query.set("cursor", cursor);
    list.setAttribute("aria-busy", "true");
    changes ??= [];
    try {
      const page = await requestPage("GET", `/inbox?${query}`);
      if (current !== version) return;
      showError(problem, "");
      cursor = page.meta.next_cursor;
      counts = page.meta.counts;
      show(page.data, isMore);
    } catch (error) {
      if (current === version) showError(problem, `Couldn't load the conversations: ${messageOf(error)}`);
    } finally {
      if (current === version) list.removeAttribute("aria-busy");
    }
    if (current === version) {
      const missed = changes;
      changes = null;
      missed.forEach(apply);
    }
    drawFilters();
    drawEnd();
  }

  /**
   * Shows a page in the server's order: that of a search is not the one by activity. A row that stays is not moved
   * without need: a click on it, and its focus, would be lost.
   * @param {InboxItem[]} items
   * @param {boolean} isMore whether they come below those that are shown
   */
  function show(items, isMore) {
    const ids = new Set(items.map((item) => item.thread_id));
    if (!isMore) for (const threadId of [...rows.keys()]) if (!ids.has(threadId)) remove(threadId);
    let next = isMore ? null : list.firstElementChild;
    for (const item of items) {
      put(item);
      const element = rows.get(item.thread_id)?.element;
      if (element && element === next) next = next.nextElementSibling;
      else if (element) list.insertBefore(element, next);
    }
  }

  function drawEnd() {
    more.hidden = cursor === null;
    none.hidden = rows.size > 0;
    if (none.hidden || list.hasAttribute("aria-busy") || !problem.hidden) { none.hidden = true; return; }
    none.textContent = search.value.trim() ? "No conversation matches your search."
      : filter === "all" ? "No open conversations. New ones appear here by themselves." : "No conversations here.";
  }

  /** Adds a conversation, or draws it anew. @param {InboxItem} item */
  function put(item) {
    let row = rows.get(item.thread_id);
    if (!row) {
      const button = node("button", { type: "button", class: "ss-inbox-row", onclick: () => open(item.thread_id) });
      row = { item, button, element: node("li", {}, button) };
      rows.set(item.thread_id, row);
      rowOf.set(row.element, row);
    }
    row.item = item;
    draw(row);
  }

  /** @param {{item: InboxItem, button: HTMLButtonElement}} row */
  function draw({ item, button }) {
    if (isLead()) readName(item);
    const isUnread = item.unread && isLead();
    button.classList.toggle("ss-unread", isUnread);
    if (item.thread_id === openThread) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    const prefix = item.last && item.last.role !== "customer" ? `${speaker(item.last.role, item.last.by)}: ` : "";
    button.replaceChildren(
      node("span", { class: "ss-inbox-name" }, isUnread ? node("span", { class: "ss-dot", role: "img", "aria-label": "Unread" }) : "",
        value(customerName(item))),
      node("time", { datetime: item.last?.at ?? item.last_at }, shortTime(item.last?.at ?? item.last_at)),
      node("span", { class: "ss-inbox-text", dir: "auto" }, prose(prefix + (item.last?.text ?? item.opening ?? ""))),
      node("span", { class: "ss-inbox-chips" }, ...chips(item)));
  }

  /** @param {InboxItem} item */
  function place(item) {
    const row = rows.get(item.thread_id);
    if (!row) return;
    // A row that moves under the pointer loses the click.
    if (unplaced) { unplaced.add(item.thread_id); return; }
    const hasFocus = row.element.contains(document.activeElement);
    let next = list.firstElementChild;
    while (next) {
      const other = next === row.element ? null : rowOf.get(next);
      if (other && other.item.last_at < item.last_at) break;
      next = next.nextElementSibling;
    }
    if (next !== row.element && row.element.nextElementSibling !== next) list.insertBefore(row.element, next);
    else if (!row.element.isConnected) list.append(row.element);
    if (hasFocus) row.button.focus({ preventScroll: true });
  }

  /** @param {string} threadId */
  function remove(threadId) {
    const row = rows.get(threadId);
    if (!row) return;
    rows.delete(threadId);
    row.element.remove();
  }

  /** @param {InboxChange} change */
  function apply(change) {
    changes?.push(change);
    const isSearch = search.value.trim() !== "";
    change.gone.forEach(remove);
    for (const item of change.items) {
      const known = rows.get(item.thread_id);
      const fits = FITS[filter](item);
      if (known && !fits && !isSearch && item.thread_id !== openThread) remove(item.thread_id);
      else if (known) {
        const hasMoved = known.item.last_at !== item.last_at;
        put(item);
        if (hasMoved && !isSearch) place(item);
      } else if (fits && !isSearch && isWithinPages(item)) {
        put(item);
        place(item);
      }
    }
    if (change.counts) { counts = change.counts; drawFilters(); } else countSoon();
    drawEnd();
  }

  /** Whether a conversation belongs on the pages that are loaded. @param {InboxItem} item */
  function isWithinPages(item) {
    const last = list.lastElementChild && rowOf.get(list.lastElementChild);
    return cursor === null || !last || item.last_at >= last.item.last_at;
  }

  /** Operators are sent no counts with changes. */
  function countSoon() {
    clearTimeout(counting);
    counting = setTimeout(async () => {
      const page = await requestPage("GET", "/inbox?limit=1").catch(() => null);
      if (page) { counts = page.meta.counts; drawFilters(); }
    }, COUNTS_MS);
  }

  /** @param {string} threadId */
  function open(threadId) {
    const row = rows.get(threadId);
    if (row) opened(row.item);
  }

  /** Opens the next conversation, or the one before. @param {number} step */
  function move(step) {
    const shown = /** @type {HTMLElement[]} */ ([...list.children]);
    const index = shown.findIndex((element) => openThread !== null && rows.get(openThread)?.element === element);
    const next = shown[index < 0 ? 0 : index + step];
    const row = next && rowOf.get(next);
    if (!row) return;
    row.button.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: "nearest" });
    opened(row.item);
  }

  function placeAll() {
    const ids = unplaced ?? [];
    unplaced = null;
    for (const threadId of ids) {
      const row = rows.get(threadId);
      if (row) place(row.item);
    }
  }

  list.addEventListener("pointerdown", () => { unplaced ??= new Set(); });
  // The click comes after it.
  for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, () => { if (unplaced) setTimeout(placeAll); });
  search.form?.addEventListener("submit", (event) => { event.preventDefault(); load(); });
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(load, TYPING_MS); });
  more.addEventListener("click", () => load({ isMore: true }));
  drawFilters();

  return {
    load, apply, move,
    focusSearch: () => { search.focus(); search.select(); },
    /** @param {string} threadId */
    itemOf: (threadId) => rows.get(threadId)?.item ?? null,
    /** Marks the open conversation. @param {string | null} threadId */
    mark: (threadId) => {
      const before = openThread;
      openThread = threadId;
      for (const one of [before, threadId]) {
        const row = one === null ? null : rows.get(one);
        if (row) draw(row);
      }
    },
    /** @param {string} threadId */
    focusRow: (threadId) => { rows.get(threadId)?.button.focus(); },
    /** Draws all anew, when the user or a customer's name is known or time has passed. */
    redraw: () => { drawFilters(); for (const row of rows.values()) draw(row); },
  };
}

/** What a conversation needs, and since when. @param {InboxItem} item */
export function chips(item) {
  const taken = item.taken_by ? chip(isMe(item.taken_by) ? "Taken by you" : ["Taken by ", value(item.taken_by)], "accent") : null;
  const time = item.since ? waitingTime(item.since) : "";
  const since = time ? ` · ${time}` : "";
  const isExplained = item.escalation !== null || item.pending > 0;
  const all = [
    item.escalation ? chip(`Escalated${since}`, "red") : null,
    item.pending
      ? chip(`Waiting for ${item.pending > 1 ? `${item.pending} approvals` : "approval"}${item.escalation ? "" : since}`, "amber") : null,
    taken,
    item.status === "active" ? chip(item.last?.role === "agent" && item.last.by ? agentTitle(item.last.by) : "Active", "teal") : null,
    item.status === "ended" ? chip("Ended") : null,
    time && !isExplained ? chip(`No answer for ${time}`, "amber") : null,
  ];
  return all.filter((one) => one !== null);
}
