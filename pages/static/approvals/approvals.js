// The panel of pending approvals: which cards there are, in step with the server's events.

import { onOpen } from "../shell/connection.js";
import { chip, find, linkButton, messageOf, node, visible } from "../shell/dom.js";
import { emitWhenReady, on } from "../shell/events.js";
import { humanize } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { onTab, openTab } from "../shell/tabs.js";
import { makeBatch } from "./batch.js";
import { EXPIRES_SOON_SECONDS, makeCard, showClaim, showMarks, updateTimes } from "./card.js";
import { settleCard, updateCard } from "./card_changes.js";
import { DecidedList, outcomeOf, outcomeText } from "./decided.js";
import { forgetDraft, isBeingWritten, showDraftOrActions, showOtherDecision } from "./decision_form.js";
import { escalations } from "./escalations.js";
import { failedNotifications } from "./notifications.js";
import { makeFilters } from "./filters.js";
import { heldCount, isHeld } from "./held.js";
import { listenForKeys, pressOn } from "./keyboard.js";
import { pending as known, requestPending } from "./pending.js";

const FADE_MS = 450;
// More cards would make the page slow; the tab "Approvals" shows all.
const MAX_CARDS = 50;

register("approvals", (element) => {
  const [heading, total, queue, empty, loading, recent, announcer] = ["h2", ".ss-count", ".ss-queue", ".ss-nothing",
    ".ss-loading", ".ss-recent", ".ss-live"].map((selector) => find(element, selector));
  const decided = new DecidedList(find(recent, "ul"));
  /** @type {Map<string, Card>} */
  const cards = new Map();
  /** @type {Set<Card>} */
  const selected = new Set();
  /** @type {Card[]} */
  let shown = [];
  let isLoaded = false;
  /** @type {Card | undefined} */
  let nextToExpire;

  const filters = makeFilters(draw);
  const batch = makeBatch({
    view: "ss",
    selected: () => [...selected].filter((card) => !isHeld(card.id)).map((card) => card.approval),
    shown: () => shown.map((card) => card.approval),
    select: (approvals) => {
      for (const { approval_id: id } of approvals) { const card = cards.get(id); if (card) selected.add(card); }
      draw();
    },
    unselect: (ids = [...cards.keys()]) => {
      for (const id of ids) { const card = cards.get(id); if (card) selected.delete(card); }
      draw();
    },
  });
  const expiry = node("button", { type: "button", class: "ss-soon", hidden: true,
    onclick: () => { if (nextToExpire) showCard(nextToExpire.id); } });
  const moreText = node("span");
  const more = node("p", { class: "ss-muted ss-more", role: "status", hidden: true }, moreText, " ",
    linkButton("Show all in Approvals", () => openTab("Approvals")));
  const focused = () => shown.findIndex((card) => card.element.contains(document.activeElement));
  const keys = listenForKeys({
    current: () => shown[focused()],
    move: (step) => {
      const index = focused();
      const next = shown[index < 0 ? 0 : index + step];
      next?.element.focus();
      next?.element.scrollIntoView({ block: "nearest" });
      return Boolean(next);
    },
    isVisible: () => element.offsetParent !== null, search: filters.focusSearch, press: pressOn,
  });

  /** @param {string} text */
  const announce = (text) => { announcer.textContent = visible(text); };

  /** @param {Approval} approval */
  function put(approval) {
    if (approval.need === "run") return; // Auto-approved by policy: it would push out what people decided.
    if (approval.status !== "pending") { settle(approval); return; }
    if (decided.has(approval.approval_id)) return;
    const card = cards.get(approval.approval_id);
    if (card) updateCard(card, approval);
    else if (cards.size < MAX_CARDS || isBeingWritten(approval.approval_id)) add(approval);
  }

  /** @param {Approval} approval */
  function add(approval) {
    const card = makeCard(approval, {
      selected: (one) => { selected[one.select.checked ? "add" : "delete"](one); draw(); },
      failed: (error) => announce(messageOf(error)),
    });
    // Newer cards go below, so that nothing moves under the pointer.
    const after = [...cards.values()].find((other) => other.approval.requested_at > approval.requested_at);
    cards.set(approval.approval_id, card);
    queue.insertBefore(card.element, after?.element ?? null);
    if (isLoaded) announce(`New approval: ${humanize(approval.action)}`);
  }

  /** @param {Approval} approval */
  function settle(approval) {
    const card = cards.get(approval.approval_id);
    cards.delete(approval.approval_id);
    if (card) {
      selected.delete(card);
      leave(card, approval);
    }
    decided.put(approval);
  }

  /** Shows the outcome in the card's place; a card that somebody works in stays until they dismiss it. @param {Card} card @param {Approval} approval */
  function leave(card, approval) {
    const [outcome, color] = outcomeOf(approval);
    announce(`${card.approval.summary}: ${outcomeText(approval)}`);
    const hasFocus = card.element.contains(document.activeElement);
    card.element.classList.replace("ss-approval", "ss-leaving");
    if (card.element.hidden) { card.element.remove(); forgetDraft(card.id); fill(); return; }
    card.countdown.replaceWith(chip(outcome, color));
    if (settleCard(card, approval, () => remove(card))) return;
    card.body.replaceChildren();
    if (hasFocus) focusNext(card);
    card.element.classList.add("ss-fading");
    setTimeout(() => remove(card), matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : FADE_MS);
  }

  /** @param {Card} card */
  function remove(card) {
    if (card.element.contains(document.activeElement)) focusNext(card);
    card.element.remove();
    fill();
    showTotals();
  }

  /** Makes cards for what had no room before. */
  function fill() {
    if (cards.size >= MAX_CARDS) return;
    const waiting = known.all().filter((one) => !cards.has(one.approval_id));
    waiting.sort((one, other) => one.requested_at.localeCompare(other.requested_at)).forEach(put);
  }

  /** Moves the focus to the next card, else to the heading. @param {Card} card */
  function focusNext(card) {
    let next = card.element.nextElementSibling;
    while (next && (!next.classList.contains("ss-approval") || isHeld(next.getAttribute("data-approval-id") ?? ""))) {
      next = next.nextElementSibling;
    }
    (next instanceof HTMLElement ? next : heading).focus({ preventScroll: true });
  }

  /** @param {Approval[]} items */
  function replaceAll(items) {
    const pending = items.filter((item) => item.status === "pending");
    const ids = new Set(pending.map((item) => item.approval_id));
    items.filter((item) => item.status !== "pending").reverse().forEach(put);
    for (const card of [...cards.values()]) {
      if (ids.has(card.id)) continue;
      // Whoever writes in it is told what became of it, rather than losing the card.
      if (isBeingWritten(card.id)) showOtherDecision(card);
      else { cards.delete(card.id); selected.delete(card); remove(card); }
    }
    pending.sort((one, other) => one.requested_at.localeCompare(other.requested_at)).forEach(put);
    cards.forEach(showMarks);
    isLoaded = true;
    showTotals();
  }

  function showTotals() {
    const count = Math.max(0, known.all().length - heldCount());
    draw();
    total.textContent = String(count);
    total.hidden = count === 0;
    empty.hidden = !isLoaded || [...queue.children].some((one) => !(one instanceof HTMLElement && one.hidden)) || filters.isFiltered();
    const hiddenCount = known.all().length - cards.size;
    more.hidden = hiddenCount <= 0 && !known.isTruncated;
    moreText.textContent = known.isTruncated ? "There are more than 1,000." : `The ${cards.size} oldest of ${known.all().length} are here.`;
    loading.hidden = isLoaded;
    recent.hidden = decided.isEmpty;
    document.title = count ? `(${count}) Smart Support` : "Smart Support";
    const pill = document.getElementById("ss-pending");
    if (!pill) return;
    pill.textContent = count ? `${count} pending` : "No pending approvals";
    pill.classList.toggle("ss-chip--amber", count > 0);
  }

  /** Applies filters, order and selection, and warns, after any change. */
  function draw() {
    shown = filters.apply([...cards.values()], queue, isHeld);
    for (const card of cards.values()) card.select.checked = selected.has(card);
    batch.draw();
    warnOfExpiry();
  }

  function warnOfExpiry() {
    const soon = [...cards.values()].filter((card) => card.secondsLeft < EXPIRES_SOON_SECONDS)
      .sort((one, other) => one.secondsLeft - other.secondsLeft);
    const text = soon.length === 0 ? "" : soon.length === 1 ? "1 approval expires in less than 2 minutes"
      : `${soon.length} approvals expire in less than 2 minutes`;
    // Only a change is set, as screen readers announce it each time.
    if (expiry.textContent !== text) expiry.textContent = text;
    expiry.hidden = text === "";
    nextToExpire = soon[0];
  }

  function showPanel() {
    openTab("Console");
    requestAnimationFrame(() => {
      element.scrollIntoView({ behavior: "smooth", block: "start" });
      const first = queue.querySelector(".ss-approval");
      (first instanceof HTMLElement ? first : heading).focus({ preventScroll: true });
    });
  }

  /** Brings a card into view and focuses its first button. @param {string} id */
  function showCard(id) {
    const card = cards.get(id);
    if (!card) {
      if (!known.get(id)) return;
      openTab("Approvals");
      emitWhenReady("show_in_list", id);
      return;
    }
    card.element.scrollIntoView({ behavior: "smooth", block: "center" });
    find(card.element, "button:not(.ss-link)").focus({ preventScroll: true });
    card.element.classList.remove("ss-flash");
    requestAnimationFrame(() => card.element.classList.add("ss-flash"));
  }

  queue.before(node("div", { class: "ss-urgent", role: "status" }, escalations.shortcut, expiry),
    filters.element, ...batch.elements, keys.help);
  queue.after(more, keys.button);
  recent.before(escalations.section, failedNotifications);
  on("me", () => cards.forEach((card) => { showClaim(card); showDraftOrActions(card); }));
  on("approvals", (frame) => replaceAll(frame.items));
  on("approval", (frame) => {
    put(frame.approval);
    cards.forEach(showMarks);
    showTotals();
  });
  on("held_changed", () => {
    const card = [...cards.values()].find((one) => isHeld(one.id) && one.element.contains(document.activeElement));
    if (card) focusNext(card);
    showTotals();
  });
  on("undone", (ids) => {
    const card = cards.get(ids[0]);
    if (element.offsetParent !== null) card?.element.focus();
  });
  onTab("Console", () => cards.forEach((card) => { if (isBeingWritten(card.id)) showDraftOrActions(card); }));
  on("show_approvals", showPanel);
  on("show_approval", showCard);
  onOpen(requestPending);
  setInterval(() => {
    cards.forEach(updateTimes);
    warnOfExpiry();
    decided.updateTimes();
  }, 1000);
});
