// The Inbox tab: the list, the open conversation with its composer, and the customer beside it.

import { onOpen, send } from "../shell/connection.js";
import { actionButton, find, node, value } from "../shell/dom.js";
import { emitWhenReady, on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";
import { onTab, openTab } from "../shell/tabs.js";
import { makeComposer } from "./composer.js";
import { makeCustomer } from "./customer.js";
import { chips, makeList } from "./list.js";
import { currentUser, customerName, isLead } from "./names.js";
import { makeTimeline } from "./timeline.js";

const STORAGE_KEY = "ss-inbox-thread";
const RELOAD_MS = 1000;
const TIMES_MS = 30_000;
const SHORTCUTS = [["j", "Next conversation"], ["k", "Previous conversation"], ["/", "Search"], ["r", "Reply"], ["n", "Note"],
  ["t", "Take over"], ["Ctrl ↵", "Send"], ["Esc", "Back to the list"], ["?", "Show shortcuts"]];

register("inbox", (root) => {
  const inbox = find(root, ".ss-inbox");
  const [place, sidebar] = [".ss-inbox-thread", ".ss-inbox-customer"].map((selector) => find(root, selector));
  const list = makeList(root, show);
  /**
   * The open conversation.
   * @type {{item: InboxItem, timeline: ReturnType<typeof makeTimeline>, composer: ReturnType<typeof makeComposer> | null,
   *   customer: ReturnType<typeof makeCustomer> | null, head: () => void} | null}
   */
  let current = null;
  let isLoaded = false;
  let isStale = false;
  let reloading = 0;

  const help = node("dialog", { class: "ss-card ss-keys", "aria-label": "Keyboard shortcuts" }, node("b", {}, "Keyboard shortcuts"),
    node("dl", {}, SHORTCUTS.map(([key, action]) => [node("dt", {}, node("kbd", {}, key)), node("dd", {}, action)])),
    node("form", { method: "dialog" }, node("button", { class: "ss-button" }, "Close")));
  const helpButton = node("button", { type: "button", class: "ss-link ss-keys-button", onclick: () => help.showModal() },
    "Keyboard shortcuts ", node("kbd", { "aria-hidden": "true" }, "?"));
  find(root, ".ss-inbox-side").append(helpButton);
  inbox.append(help);

  const isVisible = () => inbox.offsetParent !== null;
  /** Which part a phone shows. @param {"list" | "thread" | "customer"} view */
  const setView = (view) => { inbox.dataset.view = view; };

  function showNothing() {
    place.replaceChildren(node("div", { class: "ss-empty" }, node("strong", {}, "No conversation selected"),
      "Select one from the list, or press j."));
    sidebar.replaceChildren();
    sidebar.hidden = true;
  }

  /** @param {string} threadId */
  async function openThread(threadId) {
    const item = list.itemOf(threadId) ?? await request("GET", `/inbox/${encodeURIComponent(threadId)}`).catch(() => null);
    if (item) show(item);
  }

  /** @param {InboxItem} given */
  function show(given) {
    setView("thread");
    if (current?.item.thread_id === given.thread_id) return;
    leave();
    const item = { ...given };
    list.mark(item.thread_id);
    try { sessionStorage.setItem(STORAGE_KEY, item.thread_id); } catch { /* it is only for a reload */ }
    const scroll = node("div", { class: "ss-inbox-messages" });
    const title = node("h2", { tabindex: "-1" });
    const state = node("p", { class: "ss-inbox-chips" });
    const head = () => {
      title.replaceChildren(value(customerName(item)));
      state.replaceChildren(...chips(item));
    };
    const timeline = makeTimeline(scroll, item, () => customerName(item));
    const composer = isLead() ? makeComposer({ ...item }, {
      changed: (takenBy) => { item.taken_by = takenBy; },
      noted: (note) => { customer?.put(note); notes.push(note); timeline.setNotes(notes); },
    }) : null;
    /** @type {ColleagueNote[]} */
    let notes = [];
    sidebar.hidden = !isLead();
    const customer = isLead() ? makeCustomer(sidebar, item, {
      open: openThread,
      close: () => { setView("thread"); find(place, ".ss-inbox-details").focus(); },
      loaded: (known) => { notes = [...known.notes]; timeline.setNotes(notes); known.approvals.forEach(timeline.putApproval); },
      showApproval: (approval) => {
        if (approval.thread_id !== item.thread_id) { openThread(approval.thread_id); return; }
        setView("thread");
        place.querySelector(`[data-approval-id="${CSS.escape(approval.approval_id)}"]`)?.scrollIntoView({ block: "center" });
      },
    }) : null;
    place.replaceChildren(
      node("header", {}, node("button", { type: "button", class: "ss-button ss-button--quiet ss-inbox-back", "aria-label": "Back to the list", onclick: back }, "←"),
        node("div", {}, title, state),
        actionButton("Replay", "", () => { openTab("Replay"); emitWhenReady("replay_open", { threadId: item.thread_id }); }),
        customer ? node("button", { type: "button", class: "ss-button ss-inbox-details", onclick: () => { setView("customer"); customer.focus(); } }, "Customer") : null),
      scroll, composer?.element ?? "");
    head();
    current = { item, timeline, composer, customer, head };
    customer?.load();
    follow();
  }

  /** Loads the open conversation, and follows it from its last event on. */
  async function follow() {
    const opened = current;
    if (!opened) return;
    await opened.timeline.load();
    if (current !== opened) return;
    send({ type: "resume", thread_id: opened.item.thread_id, after: opened.timeline.lastSeq });
    markSeen();
  }

  function leave() {
    if (!current) return;
    const { item, timeline, customer } = current;
    timeline.close();
    customer?.close();
    current = null;
    // The chat may show the same conversation over the same socket.
    window.ssChat?.then((chat) => {
      if (chat.thread() !== item.thread_id && current?.item.thread_id !== item.thread_id) send({ type: "leave", thread_id: item.thread_id });
    });
  }

  function back() {
    setView("list");
    if (current) list.focusRow(current.item.thread_id);
  }

  function markSeen() {
    if (!current || !isLead() || !current.item.unread || !isVisible() || document.visibilityState !== "visible") return;
    const { item, timeline } = current;
    if (timeline.lastSeq) request("POST", `/inbox/${encodeURIComponent(item.thread_id)}/seen`, { seq: timeline.lastSeq }).catch(() => {});
  }

  /** @param {InboxChange} change */
  function apply(change) {
    if (!isLoaded) return;
    list.apply(change);
    const opened = current;
    const item = opened && change.items.find((one) => one.thread_id === opened.item.thread_id);
    if (opened && item) {
      // A colleague has left a note, an approval came or went, or it is known now who the customer is.
      const isKnownAnew = item.notes !== opened.item.notes || item.customer_id !== opened.item.customer_id
        || item.pending !== opened.item.pending;
      Object.assign(opened.item, item);
      if (isKnownAnew) opened.customer?.load();
      opened.composer?.update({ ...item });
      opened.head();
      markSeen();
    }
    if (opened && change.gone.includes(opened.item.thread_id)) { leave(); list.mark(null); setView("list"); showNothing(); }
  }

  async function start() {
    if (isLoaded && !isStale) { markSeen(); return; }
    isLoaded = true;
    isStale = false;
    await list.load();
    if (current) { list.mark(current.item.thread_id); return; }
    let stored = null;
    try { stored = sessionStorage.getItem(STORAGE_KEY); } catch { /* none is stored */ }
    if (stored && matchMedia("(min-width: 900px)").matches) await openThread(stored);
  }

  showNothing();
  on("conversations", apply);
  on("*", (frame) => {
    if (!current || frame.thread_id !== current.item.thread_id || frame.seq === undefined) return;
    current.timeline.receive(/** @type {any} */ (frame));
    // What the turn has done may have changed what they have.
    if (frame.type === "message_complete") current.customer?.load();
  });
  on("approval", ({ approval }) => { if (approval.thread_id === current?.item.thread_id) current.timeline.putApproval(approval); });
  on("customer_named", (customerId) => {
    list.redraw();
    if (current?.item.customer_id !== customerId) return;
    current.head();
    current.timeline.redrawNames();
    current.customer?.drawName();
  });
  on("inbox_open", (threadId) => { openTab("Inbox"); openThread(threadId); });
  on("me", () => {
    list.redraw();
    const opened = current?.item;
    if (opened) { leave(); show(opened); }
  });
  let isFirst = true;
  onOpen(() => {
    send({ type: "watch_conversations" });
    // What has changed without a connection is read again.
    if (!isFirst) {
      clearTimeout(reloading);
      reloading = setTimeout(() => {
        if (isVisible()) list.load(); else isStale = true;
        follow();
      }, RELOAD_MS * Math.random());
    }
    isFirst = false;
  });
  onTab("Inbox", () => requestAnimationFrame(start));
  document.addEventListener("visibilitychange", () => markSeen());
  setInterval(() => current?.timeline.updateTimes(), 1000);
  setInterval(() => { if (isVisible()) { list.redraw(); current?.head(); } }, TIMES_MS);
  if (isVisible()) start();

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !isVisible() || help.open) return;
    const target = event.target instanceof Element ? event.target : null;
    const isTyping = Boolean(target?.closest("input, textarea, select, [contenteditable]"));
    if (event.key === "Escape" && target && inbox.contains(target)) {
      if (inbox.dataset.view === "customer") setView("thread");
      else if (!target.closest(".ss-slot")) back();
      return;
    }
    if (isTyping || !currentUser()) return;
    /** @type {Record<string, () => void>} */
    const keys = {
      j: () => list.move(1), k: () => list.move(-1), "/": list.focusSearch, "?": () => help.showModal(),
      r: () => current?.composer?.focus(false), n: () => current?.composer?.focus(true), t: () => current?.composer?.takeOver(),
    };
    if (target?.closest(".ss-approval") || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
});
