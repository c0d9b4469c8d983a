// The panel of approvals: one card for each id, so that what is typed into one never moves to another.
// The forms on a card are in approval_forms.js; the connection is shell.js's.

import { showActions, showSettled } from "./approval_forms.js";
import { effectLines } from "./effect.js";
import { escalations } from "./escalations.js";
import { makeBatch } from "./queue_batch.js";
import { holder, makeHistory, toggleClaim } from "./queue_desk.js";
import { makeFilters } from "./queue_filters.js";
import { listen } from "./queue_keys.js";
import { now, on, onOpen, openTab, register, send, tell } from "./shell.js";
import { ago, clock, node, visible, words } from "./text.js";

const RISKS = { high: ["High risk", "red"], medium: ["Medium risk", "amber"], low: ["Low risk", ""] };
const OUTCOMES = {
  approved: ["Approved", "green"], edited: ["Approved with changes", "green"],
  rejected: ["Rejected", "red"], expired: ["Expired", "amber"],
  responded: ["Answered", "green"], withdrawn: ["Withdrawn", "amber"],
};
const VERBS = { rejected: "Rejected", responded: "Answered", withdrawn: "Withdrawn" };
const LONG = 140;
const LONG_SUMMARY = 320;
const RECENT = 10;
const SOON_SECONDS = 120;
const cards = new Map();
const selected = new Set();
const decided = new Map();
const panel = {};
let known = false;

const title = (agent) => window.ssConfig?.agents?.[agent] ?? words(agent);
const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);

// One card

function makeCard(approval) {
  const id = approval.approval_id;
  const label = `ss-title-${id}`;
  const [risk, color] = RISKS[approval.risk] ?? [words(approval.risk), ""];
  const countdown = node("span", { class: "ss-chip ss-chip--amber ss-countdown", title: "Time left to decide" });
  const when = node("span");
  const body = node("div", { class: "ss-card-body" });
  const select = node("input", { type: "checkbox", class: "ss-select", "aria-label": `Select ${words(approval.action)}`,
    onchange: () => { selected[select.checked ? "add" : "delete"](card); draw(); } });
  const held = node("span", { class: "ss-held" });
  const claim = node("button", { type: "button", class: "ss-link", onclick: () => claimCard(card) }, "Claim");
  const needs = node("p", { class: "ss-needs", hidden: true });
  const history = makeHistory(approval);
  const element = node("article",
    { class: `ss-card ss-approval ss-approval--${color || "plain"}`, "aria-labelledby": label, tabindex: "-1" },
    node("header", {}, select,
      node("h3", { id: label }, words(approval.action)), chip(risk, color),
      approval.need === "two_leads" ? chip("Needs two leads", "accent") : null, held,
      node("span", { class: "ss-gap" }), countdown),
    node("p", { class: "ss-muted" }, approval.customer_id ? `${approval.customer_id} · ` : "",
      `${title(approval.agent)} · `, when, " · ",
      node("button", { type: "button", class: "ss-link", onclick: () => tell("open_thread", approval.thread_id) },
        "conversation"), " · ", claim),
    needs,
    node("p", { class: "ss-summary" }, folded(approval.summary, LONG_SUMMARY)),
    changedLines(approval.changed),
    effectLines(approval.effect, "What will change"),
    argumentGrid(approval.args),
    body, history.element);
  element.dataset.approvalId = id;
  const card = { id, approval, element, countdown, when, body, select, held, claim, needs, history };
  showActions(card);
  showWhoIsAtIt(card);
  tickCard(card);
  return card;
}

/** Who holds it, who has approved it already, and why it needs whom. */
function showWhoIsAtIt(card) {
  const { approval } = card;
  const by = holder(approval);
  card.held.replaceChildren(...(by ? [chip(by.own ? "You hold this" : `Held by ${by.name} until ${by.until}`, by.own ? "accent" : "amber")] : []));
  card.claim.textContent = by?.same ? "Release" : "Claim";
  card.claim.hidden = Boolean(by && !by.same);
  const voted = approval.votes?.[0];
  const said = [voted ? `Approved once by ${voted.by}; a second, different lead has to approve it too.` : "", approval.because ?? ""];
  card.needs.textContent = visible(said.filter(Boolean).join(" "));
  card.needs.hidden = card.needs.textContent === "";
}

async function claimCard(card) {
  try {
    await toggleClaim(card);
  } catch (error) {
    announce(error.message);
  }
}

function changedLines(changed) {
  if (!Array.isArray(changed) || changed.length === 0) return null;
  return node("div", { class: "ss-changed" },
    node("b", {}, "Approved before, but since then this has changed. Nothing was done; please look again."),
    effectLines(changed.map((line) => ({ ...line, field: words(line.field).toLowerCase() })), "What has changed"));
}

function argumentGrid(args) {
  const names = Object.keys(args ?? {});
  if (names.length === 0) return null;
  return node("dl", { class: "ss-args" }, names.map((name) =>
    [node("dt", {}, name), node("dd", {}, folded(asText(args[name])))]));
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

/** A value as text; a long one is folded, and can be seen whole. */
function folded(value, limit = LONG) {
  const text = visible(value);
  if (text.length <= limit && text.split("\n").length <= 4) return node("span", {}, text);
  const short = `${text.slice(0, limit).split("\n").slice(0, 4).join("\n")}…`;
  const shown = node("span", {}, short);
  const toggle = node("button", { type: "button", class: "ss-link", "aria-expanded": "false" },
    `Show all ${text.length} characters`);
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-expanded") !== "true";
    toggle.setAttribute("aria-expanded", String(open));
    shown.textContent = open ? text : short;
    toggle.textContent = open ? "Show less" : `Show all ${text.length} characters`;
  });
  return node("span", {}, shown, " ", toggle);
}

function tickCard(card) {
  const left = Math.max(0, Math.floor((Date.parse(card.approval.expires_at) - now()) / 1000));
  const hours = Math.floor(left / 3600);
  const rest = `${String(Math.floor((left % 3600) / 60)).padStart(2, "0")}:${String(left % 60).padStart(2, "0")}`;
  card.countdown.textContent = hours ? `${hours}:${rest}` : rest;
  card.left = left;
  card.countdown.classList.toggle("ss-chip--red", left < SOON_SECONDS);
  card.countdown.classList.toggle("ss-chip--amber", left >= SOON_SECONDS);
  if (card.held.firstChild && !holder(card.approval)) showWhoIsAtIt(card);
  card.when.textContent = ago(Date.parse(card.approval.requested_at), now());
}

// The queue

function put(approval) {
  if (approval.need === "run") return; // the policy let it run; it would push out what people decided
  if (approval.status !== "pending") return settle(approval);
  if (decided.has(approval.approval_id)) return;
  const card = cards.get(approval.approval_id);
  if (card) {
    const votes = card.approval.votes?.length ?? 0;
    card.approval = approval;
    card.history.update(approval);
    showWhoIsAtIt(card);
    if ((approval.votes?.length ?? 0) > votes) { card.own = false; showActions(card); }
    return;
  }
  const made = makeCard(approval);
  // Later ones go below: nothing that is there already moves.
  const after = [...cards.values()].find((other) => other.approval.requested_at > approval.requested_at);
  cards.set(approval.approval_id, made);
  panel.queue.insertBefore(made.element, after?.element ?? null);
  if (known) announce(`New approval: ${words(approval.action)}`);
}

function settle(approval) {
  const card = cards.get(approval.approval_id);
  cards.delete(approval.approval_id);
  selected.delete(card);
  if (card) leave(card, approval);
  remember(approval);
}

/** Say what became of it where the card was; keep it while someone is at work in it. */
function leave(card, approval) {
  const [outcome, color] = OUTCOMES[approval.status] ?? [words(approval.status), ""];
  const said = approval.status === "expired"
    ? "Expired: nobody decided in time. It was not carried out."
    : `${outcome} by ${approval.decided_by} at ${clock(approval.decided_at)}.`;
  announce(`${words(card.approval.action)}: ${said}`);
  const atWork = card.refused || (!card.own && card.element.contains(document.activeElement));
  card.element.classList.replace("ss-approval", "ss-leaving");
  card.countdown.replaceWith(chip(outcome, color));
  if (atWork) {
    showSettled(card, said, () => remove(card));
  } else {
    const hadFocus = card.element.contains(document.activeElement);
    card.body.replaceChildren();
    if (hadFocus) focusNear(card);
    card.element.classList.add("ss-fading");
    setTimeout(() => remove(card), matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 450);
  }
}

function remove(card) {
  if (card.element.contains(document.activeElement)) focusNear(card);
  card.element.remove();
  count();
}

/** Focus goes to the next card, else to the panel's heading, never to nowhere. */
function focusNear(card) {
  let next = card.element.nextElementSibling;
  while (next && !next.classList.contains("ss-approval")) next = next.nextElementSibling;
  (next ?? panel.heading).focus({ preventScroll: true });
}

/** A decided approval in its list; one that is there already keeps its history, open and typed into as it may be. */
function remember(approval) {
  const known = decided.get(approval.approval_id);
  const when = node("span");
  const history = known?.history ?? makeHistory(approval,
    () => [effectLines(approval.effect, "What changed"), argumentGrid(approval.args)]);
  const element = known ?? node("li", { class: "ss-card ss-decided" }, history.element);
  while (element.firstChild !== history.element) element.firstChild.remove();
  history.element.before(...decidedLines(approval, when));
  history.update(approval);
  element.classList.add(`ss-approval--${(OUTCOMES[approval.status] ?? [])[1]}`);
  element.dataset.at = approval.decided_at;
  Object.assign(element, { whenText: when, history });
  if (!known) {
    decided.set(approval.approval_id, element);
    const older = [...panel.decided.children].find((other) => other.dataset.at < approval.decided_at);
    panel.decided.insertBefore(element, older ?? null);
    while (panel.decided.children.length > RECENT) panel.decided.lastElementChild.remove();
  }
  tickDecided(element);
}

function decidedLines(approval, when) {
  const [outcome, color] = OUTCOMES[approval.status] ?? [words(approval.status), ""];
  const troubled = { failed: "It was not carried out; nothing was changed.", outcome_unknown: "Its outcome is unknown: check by hand." };
  const by = approval.status === "expired" ? "Nobody decided in time"
    : `${VERBS[approval.status] ?? "Approved"} by ${approval.decided_by}`;
  return [
    node("header", {}, node("h4", {}, words(approval.action)), node("span", { class: "ss-gap" }), chip(outcome, color)),
    node("p", { class: "ss-muted" }, folded(approval.summary, LONG_SUMMARY)),
    node("p", { class: "ss-muted" }, `${by} · `, when, " · ",
      node("button", { type: "button", class: "ss-link", onclick: () => tell("open_thread", approval.thread_id) },
        "conversation")),
    approval.reason ? node("p", { class: "ss-reason" }, folded(approval.reason, LONG_SUMMARY)) : "",
    troubled[approval.execution] ? node("p", { class: "ss-problem" }, folded(troubled[approval.execution] +
      (approval.execution === "failed" && approval.execution_reason ? ` ${approval.execution_reason}` : ""), LONG_SUMMARY)) : ""];
}

const tickDecided = (element) => {
  element.whenText.textContent = ago(Date.parse(element.dataset.at), now());
};

function replaceAll(items) {
  const pending = new Set(items.filter((item) => item.status === "pending").map((item) => item.approval_id));
  const settled = items.filter((item) => item.status !== "pending");
  [...settled].reverse().forEach(put);
  for (const card of [...cards.values()]) {
    if (!pending.has(card.id)) { cards.delete(card.id); selected.delete(card); remove(card); }
  }
  items.filter((item) => item.status === "pending")
    .sort((one, other) => one.requested_at.localeCompare(other.requested_at)).forEach(put);
  known = true;
  count();
}

function count() {
  const number = cards.size;
  draw();
  panel.count.textContent = String(number);
  panel.count.hidden = number === 0;
  panel.empty.hidden = !known || panel.queue.childElementCount > 0;
  panel.loading.hidden = known;
  panel.recent.hidden = panel.decided.childElementCount === 0;
  document.title = number ? `(${number}) Smart Support` : "Smart Support";
  const pill = document.getElementById("ss-pending");
  if (!pill) return;
  pill.textContent = number ? `${number} pending` : "Nothing pending";
  pill.classList.toggle("ss-chip--amber", number > 0);
}

/** Filters, order, selection and the warning, after anything has changed. */
function draw() {
  panel.shown = panel.filters.apply([...cards.values()], panel.queue);
  for (const card of cards.values()) card.select.checked = selected.has(card);
  panel.batch.draw();
  warn();
}

/** Say once that time is running out, and keep a way there. */
function warn() {
  const soon = [...cards.values()].filter((card) => card.left < SOON_SECONDS).sort((one, other) => one.left - other.left);
  const text = soon.length === 0 ? "" : soon.length === 1 ? "1 approval expires in less than 2 minutes"
    : `${soon.length} approvals expire in less than 2 minutes`;
  if (panel.soon.textContent !== text) panel.soon.textContent = text;
  panel.soon.hidden = text === "";
  panel.soonest = soon[0];
}

/** What a key does with a card: the same as a press of its button. */
function press(card, what) {
  if (what === "select") card.select.click();
  else if (what === "claim") { if (!card.claim.hidden) claimCard(card); }
  else if (what === "history") card.history.element.open = !card.history.element.open;
  else if (!card.buttons?.[what]?.hidden && card.buttons?.[what]?.isConnected) card.buttons[what].click();
}

const announce = (text) => { panel.live.textContent = visible(text); };

function showPanel() {
  openTab("Console");
  requestAnimationFrame(() => {
    panel.element.scrollIntoView({ behavior: "smooth", block: "start" });
    const first = panel.queue.querySelector(".ss-approval");
    (first ?? panel.heading).focus({ preventScroll: true });
  });
}

/** Go to one card: what "Review" in the chat does. */
function showCard(id) {
  const card = cards.get(id);
  if (!card) return;
  card.element.scrollIntoView({ behavior: "smooth", block: "center" });
  card.element.querySelector("button:not(.ss-link)")?.focus({ preventScroll: true });
  card.element.classList.remove("ss-flash");
  requestAnimationFrame(() => card.element.classList.add("ss-flash"));
}

register("approvals", (element) => {
  Object.assign(panel, {
    element, heading: element.querySelector("h2"), count: element.querySelector(".ss-count"),
    queue: element.querySelector(".ss-queue"), empty: element.querySelector(".ss-nothing"),
    loading: element.querySelector(".ss-loading"), recent: element.querySelector(".ss-recent"),
    decided: element.querySelector(".ss-recent ul"), live: element.querySelector(".ss-live"),
  });
  panel.filters = makeFilters(title, draw);
  panel.batch = makeBatch(selected, () => panel.shown, draw);
  panel.soon = node("button", { type: "button", class: "ss-soon", hidden: true,
    onclick: () => panel.soonest && showCard(panel.soonest.id) });
  panel.more = node("p", { class: "ss-muted", role: "status", hidden: true });
  const help = listen({
    shown: () => panel.shown ?? [],
    visible: () => element.offsetParent !== null,
    search: () => panel.filters.search.focus(),
    button: (card, what) => (card.buttons?.[what]?.isConnected ? card.buttons[what] : null),
    press,
  });
  panel.queue.before(node("div", { class: "ss-urgent", role: "status" }, escalations.pointer, panel.soon), panel.filters.element, panel.more, ...panel.batch.elements, help);
  panel.recent.before(escalations.section);
  on("me", () => cards.forEach(showWhoIsAtIt));
  on("approvals", (frame) => {
    panel.more.hidden = !frame.more;
    replaceAll(frame.items);
    panel.more.textContent = `The oldest ${cards.size} are shown; there are more.`;
  });
  on("approval", (frame) => { put(frame.approval); count(); });
  on("show_approvals", showPanel);
  on("show_approval", showCard);
  onOpen(() => send({ type: "watch_approvals" }));
  setInterval(() => {
    cards.forEach(tickCard);
    warn();
    [...panel.decided.children].forEach(tickDecided);
  }, 1000);
});
