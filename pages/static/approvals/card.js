// One pending approval. Each card belongs to one approval id, so that what is typed into it can't move to another.

import { now } from "../shell/connection.js";
import { chip, exact, linkButton, node, value, visible } from "../shell/dom.js";
import { emit } from "../shell/events.js";
import { foldable } from "../shell/foldable.js";
import { humanize, timeAgo } from "../shell/format.js";
import { timeLeft } from "../shell/freezes.js";
import { asMoney } from "../shell/money.js";
import { quotationOf, replayLink, requesterOf } from "./caller.js";
import { claimOf, toggleClaim } from "./claims.js";
import { showDraftOrActions } from "./decision_form.js";
import { effectList } from "./effect.js";
import { nameOf } from "./names.js";
import { duplicatesOf } from "./pending.js";
import { makeHistory } from "./history.js";

let cardCount = 0;
export const EXPIRES_SOON_SECONDS = 120;
export const MAX_SUMMARY_CHARS = 320;
/** @type {Record<string, [string, string]>} */
export const RISKS = { high: ["High risk", "red"], medium: ["Medium risk", "amber"], low: ["Low risk", ""] };

/**
 * @param {Approval} approval
 * @param {{selected: (card: Card) => void, failed: (error: unknown) => void}} callbacks
 * @returns {Card}
 */
export function makeCard(approval, { selected, failed }) {
  const id = approval.approval_id;
  // Several views may show one approval.
  const view = `ss-card-${cardCount += 1}`;
  const titleId = `${view}-title`;
  const [risk, color] = RISKS[approval.risk] ?? [humanize(approval.risk), ""];
  const countdown = node("span", { class: "ss-chip ss-chip--amber ss-countdown", title: "Time left to decide" });
  const frozen = chip("Frozen", "red");
  const requested = node("span");
  const body = node("div", { class: "ss-card-body" });
  const select = node("input", { type: "checkbox", class: "ss-select", "aria-label": nameOf("Select", approval),
    onchange: () => selected(card) });
  const claim = node("span", { class: "ss-claim" });
  const claimButton = linkButton("Claim", () => { toggleClaim(card).catch(failed); });
  const duplicate = node("span", { class: "ss-claim" });
  const notice = node("p", { class: "ss-notice", dir: "auto", hidden: true });
  const history = makeHistory(approval);
  const element = node("article",
    { class: `ss-card ss-approval ss-approval--${color || "grey"}`, "aria-labelledby": titleId, tabindex: "-1" },
    node("header", {}, select, node("h3", { id: titleId }, humanize(approval.action)), chip(risk, color),
      approval.need === "two_leads" ? chip("Needs two leads", "accent") : null,
      approval.approvers?.length ? chip(["Needs ", value(approval.approvers.join(" and "))], "accent") : null, frozen, duplicate, claim,
      node("span", { class: "ss-gap" }), countdown),
    node("p", { class: "ss-muted" }, customerText(approval),
      requesterOf(approval), " · ", requested, " · ",
      conversationLink(approval), " · ", claimButton),
    notice,
    node("p", { class: "ss-summary" }, foldable(approval.summary, MAX_SUMMARY_CHARS)),
    quotationOf(approval.caller),
    targetLine(approval.target),
    changedFacts(approval.changed),
    effectList(approval.effect, "Changes"),
    argumentList(approval),
    body, history.element);
  element.dataset.approvalId = id;
  /** @type {Card} */
  const card = { id, approval, view, element, countdown, frozen, requested, body, select, claim, claimButton, duplicate, notice, history,
    buttons: {}, secondsLeft: 0, isBusy: false, isDecidedHere: false, isRefused: false, warnedUntil: null };
  showDraftOrActions(card);
  showClaim(card);
  showDuplicates(card);
  updateTimes(card);
  return card;
}

/** Shows the claim, the first of two approvals, and the policy's reason. @param {Card} card */
export function showClaim(card) {
  const { approval } = card;
  const claim = claimOf(approval);
  card.claim.replaceChildren(...(claim
    ? [chip(claim.isOwn ? "Claimed by you" : ["Claimed by ", value(claim.name), ` until ${claim.until}`],
      claim.isOwn ? "accent" : "amber")]
    : []));
  card.claimButton.textContent = claim?.canRelease ? "Release" : "Claim";
  card.claimButton.setAttribute("aria-label", nameOf(card.claimButton.textContent, approval));
  card.claimButton.hidden = Boolean(claim && !claim.canRelease);
  const voters = (approval.votes ?? []).map((vote) => vote.by).join(" and ");
  const more = approval.approvers?.length ? "More people must approve it." : "A second lead must approve it too.";
  const lines = [voters ? `Approved once by ${voters}. ${more}` : "", approval.because ?? ""];
  card.notice.textContent = visible(lines.filter(Boolean).join(" "));
  card.notice.hidden = card.notice.textContent === "";
}

/** Who the customer is, and whether a website has vouched for it. @param {Approval} approval @returns {Child} */
function customerText({ customer, customer_id: id }) {
  if (!id && !customer) return null;
  const verified = customer?.verified ? `verified as ${customer.name ?? customer.email ?? customer.id}` : "not verified";
  return [value(customer?.id ?? id ?? ""), ` (${visible(verified)}) · `];
}

/** A link to the conversation in the chat, or to the record of a client's call. @param {Approval} approval @param {string} [text] */
export function conversationLink(approval, text = "Conversation") {
  if (approval.caller) return replayLink(approval);
  const link = linkButton(text, () => emit("open_thread", approval.thread_id));
  link.setAttribute("aria-label", nameOf(text, approval));
  return link;
}

/** Marks a card that may request what another pending one requests. @param {Card} card */
export function showDuplicates(card) {
  const others = duplicatesOf(card.approval);
  if (card.duplicate.childElementCount === Math.min(1, others.length)) return;
  const mark = chip("Possible duplicate", "amber");
  mark.title = others.map((one) => one.summary).join("; ");
  card.duplicate.replaceChildren(...(others.length ? [mark] : []));
}

/** The time left to decide, as text, with a sign where it stands still. @param {Approval} approval */
export function timeText(approval) {
  const left = Math.max(0, Math.floor(timeLeft(approval, now()) / 1000));
  const hours = Math.floor(left / 3600);
  const rest = `${String(Math.floor((left % 3600) / 60)).padStart(2, "0")}:${String(left % 60).padStart(2, "0")}`;
  return `${approval.paused_at ? "❙❙ " : ""}${hours ? `${hours}:${rest}` : rest}`;
}

/** The seconds left to decide; Infinity while writes are frozen. @param {Approval} approval */
export const secondsLeft = (approval) =>
  (approval.paused_at ? Infinity : Math.max(0, Math.floor(timeLeft(approval, now()) / 1000)));

/** Updates the countdown and the age. @param {Card} card */
export function updateTimes(card) {
  const isPaused = Boolean(card.approval.paused_at);
  card.countdown.textContent = timeText(card.approval);
  card.countdown.title = isPaused ? "Time is paused while writes are frozen" : "Time left to decide";
  card.frozen.hidden = !isPaused;
  card.secondsLeft = secondsLeft(card.approval);
  card.countdown.classList.toggle("ss-chip--red", card.secondsLeft < EXPIRES_SOON_SECONDS);
  card.countdown.classList.toggle("ss-chip--amber", card.secondsLeft >= EXPIRES_SOON_SECONDS);
  if (card.claim.firstChild && !claimOf(card.approval)) showClaim(card);
  card.requested.textContent = timeAgo(Date.parse(card.approval.requested_at), now());
}

/** Where the call goes. @param {Approval["target"]} target */
export function targetLine(target) {
  if (!target) return null;
  return node("p", { class: "ss-muted ss-target" }, "Sends ", node("code", {}, exact(target.method)), " to ", node("code", {}, exact(target.url)));
}

/** @param {EffectLine[] | null | undefined} changed */
export function changedFacts(changed) {
  if (!Array.isArray(changed) || changed.length === 0) return null;
  return node("div", { class: "ss-changed" },
    node("b", {}, "This changed after it was approved, so nothing was done. Review it again."),
    effectList(changed.map((line) => ({ ...line, field: humanize(line.field).toLowerCase() })), "Changed since the approval"));
}

/** A call's arguments, each with its name; amounts also as money. @param {Approval} approval */
export function argumentList(approval) {
  const entries = Object.entries(approval.args ?? {});
  if (entries.length === 0) return null;
  return node("dl", { class: "ss-args" }, entries.map(([name, given]) => [node("dt", {}, exact(name)),
    node("dd", {}, foldable(exact(typeof given === "string" ? given : JSON.stringify(given, null, 1))),
      moneyNote(name, given, approval))]));
}

/** @param {string} name @param {unknown} given @param {Approval} approval */
function moneyNote(name, given, approval) {
  const text = asMoney(name, given, approval);
  return text ? node("span", { class: "ss-muted" }, ` = ${text}`) : null;
}
