// One approval with everything that helps to decide it. There is one element for each approval id and view, so that
// what is typed into it can't move to another one. It has two layouts: small, for a column of cards, where the
// conversation and the customer are folded, and large, for the details beside the list.

import { now } from "../shell/connection.js";
import { chip, exact, linkButton, node, value, visible } from "../shell/dom.js";
import { emitWhenReady } from "../shell/events.js";
import { foldable } from "../shell/foldable.js";
import { humanize, timeAgo, timeOfDay } from "../shell/format.js";
import { timeLeft } from "../shell/freezes.js";
import { openTab } from "../shell/tabs.js";
import { argumentList, changedFacts, factList, section, targetLine } from "./card_parts.js";
import { quotationOf, replayLink, requesterOf } from "./caller.js";
import { claimOf, toggleClaim } from "./claims.js";
import { makeContext } from "./context.js";
import { showDraftOrActions } from "./decision_form.js";
import { effectList } from "./effect.js";
import { makeHistory } from "./history.js";
import { nameOf } from "./names.js";
import { duplicatesOf } from "./pending.js";

let cardCount = 0;
export const EXPIRES_SOON_SECONDS = 120;
export const MAX_SUMMARY_CHARS = 320;
/** @type {Record<string, [string, string]>} */
export const RISKS = { high: ["High risk", "red"], medium: ["Medium risk", "amber"], low: ["Low risk", ""] };
/** @type {Record<string, string>} */
const NEEDS = { ask: "Every change needs the approval of a lead, unless a policy rule lets it run.",
  two_leads: "A policy rule asks for two leads." };

/**
 * @param {Approval} approval
 * @param {CardOptions} options
 * @returns {Card}
 */
export function makeCard(approval, { failed, selected = () => {}, large = null }) {
  const id = approval.approval_id;
  // Several views may show one approval.
  const view = `ss-card-${cardCount += 1}`;
  const [requested, marks, claim, duplicate, position] = [node("span"), node("span", { class: "ss-claim" }),
    node("span", { class: "ss-claim" }), node("span", { class: "ss-claim" }), node("span", { class: "ss-muted" })];
  const countdown = node("span", { class: "ss-chip ss-chip--amber ss-countdown", title: "Time left to decide" });
  const frozen = chip("Frozen", "red");
  const body = node("div", { class: "ss-card-body" });
  const select = large?.select ?? node("input", { type: "checkbox", class: "ss-select", "aria-label": nameOf("Select", approval),
    onchange: () => selected(card) });
  const claimButton = linkButton("Claim", () => { toggleClaim(card).catch(failed); });
  const notice = node("p", { class: "ss-notice", dir: "auto", hidden: true });
  const history = makeHistory(approval);
  const context = makeContext(approval, large?.open ?? showApproval);
  const title = node("h3", { id: `${view}-title` }, foldable(approval.summary, MAX_SUMMARY_CHARS));
  const chips = [marks, approval.customer?.verified ? chip(["Verified: ", value(approval.customer.name ?? approval.customer.email ?? approval.customer.id)], "green") : null,
    approval.need === "two_leads" ? chip("Needs two leads", "accent") : null,
    approval.approvers?.length ? chip(["Needs ", value(approval.approvers.join(" and "))], "accent") : null, frozen, duplicate, claim];
  const line = node("p", { class: "ss-muted" }, "Requested ", requested, " by ", requesterOf(approval), " · ",
    conversationLink(approval), " · ", claimButton);
  const parts = {
    changed: changedFacts(approval.changed),
    says: approval.caller ? section("Why the client requests it", quotationOf(approval.caller)) : null,
    effect: approval.effect?.length ? section("What will change", effectList(approval.effect, "Changes")) : null,
    call: section(["Exact call ", node("code", {}, exact(approval.action))],
      argumentList(approval) ?? node("p", { class: "ss-muted" }, "No arguments"), targetLine(approval.target)),
    why: section(["Why it needs approval ", node("span", { class: "ss-muted" }, `as of ${timeOfDay(approval.requested_at)}`)], notice,
      node("p", {}, approval.because ? "" : NEEDS[approval.need ?? "ask"] ?? ""), factList(approval)),
  };
  const element = large
    ? node("article", { class: "ss-details", "aria-labelledby": title.id },
      node("header", { class: "ss-details-head" },
        node("div", { class: "ss-details-title" },
          node("button", { type: "button", class: "ss-button ss-back", "aria-label": "Back to the list", onclick: large.back }, "‹"),
          title, node("span", { class: "ss-gap" }), countdown),
        node("div", { class: "ss-details-chips" }, chips), node("div", { class: "ss-details-line" }, line, position)),
      node("div", { class: "ss-details-scroll", tabindex: "0", "aria-label": "Details" },
        node("div", { class: "ss-details-main" },
          parts.changed, context.since, parts.says, context.words, parts.effect, parts.call, parts.why, history.element),
        node("div", { class: "ss-details-side" }, context.customer, context.related)),
      node("footer", { class: "ss-details-foot" }, body))
    : node("article", { class: "ss-card ss-approval", "aria-labelledby": title.id, tabindex: "-1" },
      node("header", {}, select, title, node("span", { class: "ss-gap" }), countdown),
      node("div", { class: "ss-details-chips" }, chips), line,
      parts.changed, parts.says, parts.effect, parts.call, approval.because || approval.votes?.length ? notice : null,
      node("details", { class: "ss-history-of", ontoggle: () => { context.load(); } }, node("summary", {}, "Conversation and customer"),
        node("div", { class: "ss-details-main" }, context.since, context.words, context.customer, parts.why, context.related)),
      body, history.element);
  element.dataset.approvalId = id;
  /** @type {Card} */
  const card = { id, approval, view, element, countdown, frozen, requested, body, select, marks, claim, claimButton, duplicate, notice, history, position,
    buttons: {}, secondsLeft: 0, isBusy: false, isDecidedHere: false, isRefused: false, warnedUntil: null };
  showDraftOrActions(card);
  showClaim(card);
  showMarks(card);
  updateTimes(card);
  if (large) context.load();
  return card;
}

/** @param {string} id */
function showApproval(id) {
  openTab("Approvals");
  emitWhenReady("show_in_list", id);
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

/** A link to the conversation in the Inbox, or to the record of a client's call. @param {Approval} approval */
export function conversationLink(approval) {
  if (approval.caller) return replayLink(approval);
  const link = linkButton("Open conversation", () => { openTab("Inbox"); emitWhenReady("inbox_open", approval.thread_id); });
  link.setAttribute("aria-label", nameOf("Open conversation", approval));
  return link;
}

/** Says the risk of a card, and whether another pending one may request the same. @param {Card} card */
export function showMarks(card) {
  const { approval } = card;
  const [label, color] = RISKS[approval.risk] ?? [humanize(approval.risk), ""];
  card.element.classList.toggle("ss-approval--red", color === "red");
  card.element.classList.toggle("ss-approval--amber", color === "amber");
  if (card.marks.textContent !== label) card.marks.replaceChildren(chip(label, color));
  const others = duplicatesOf(approval);
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
