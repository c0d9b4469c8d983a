// One approval with everything that helps to decide it: the customer's words, the changes, the policy, and what else
// is pending for the same things.

import { chip, exact, linkButton, node, prose, value, visible } from "../shell/dom.js";
import { agentTitle, humanize, timeAgo, timeOfDay } from "../shell/format.js";
import { now } from "../shell/connection.js";
import { emitWhenReady } from "../shell/events.js";
import { foldable } from "../shell/foldable.js";
import { asMoney } from "../shell/money.js";
import { request } from "../shell/rest.js";
import { openTab } from "../shell/tabs.js";
import { argumentList, changedFacts, RISKS, showClaim, showDuplicates, targetLine, updateTimes } from "./card.js";
import { quotationOf, replayLink, requesterOf } from "./caller.js";
import { toggleClaim } from "./claims.js";
import { showDraftOrActions } from "./decision_form.js";
import { effectList } from "./effect.js";
import { makeHistory } from "./history.js";
import { nameOf } from "./names.js";

const MAX_SUMMARY_CHARS = 320;
/** @type {Record<string, string>} */
const RELATIONS = { duplicate: "Possible duplicate", same_thread: "Same conversation", same_customer: "Same customer" };
/** @type {Record<string, string>} */
const NEEDS = { ask: "Every change needs the approval of a lead, unless a policy rule lets it run.",
  two_leads: "A policy rule asks for two leads." };

/**
 * @param {Approval} approval
 * @param {{select: HTMLInputElement, failed: (error: unknown) => void, open: (id: string) => void, back: () => void}} tools
 * @returns {Card & {position: HTMLElement}}
 */
export function makeDetails(approval, { select, failed, open, back }) {
  const id = approval.approval_id;
  const [risk, color] = RISKS[approval.risk] ?? [humanize(approval.risk), ""];
  const countdown = node("span", { class: "ss-chip ss-chip--amber ss-countdown", title: "Time left to decide" });
  const frozen = chip("Frozen", "red");
  const [requested, claim, duplicate, position] = [node("span"), node("span", { class: "ss-claim" }), node("span", { class: "ss-claim" }), node("span", { class: "ss-muted" })];
  const body = node("div", { class: "ss-card-body" });
  const claimButton = linkButton("Claim", () => { toggleClaim(card).catch(failed); });
  const notice = node("p", { class: "ss-notice", dir: "auto", hidden: true });
  const history = makeHistory(approval);
  const titleId = `ss-details-${id}`;
  const since = node("div", { class: "ss-since", role: "status" });
  const words = section("Customer's words", node("p", { class: "ss-muted" }, "Loading…"));
  const customer = section("Customer", ...customerLines(approval));
  const related = section("Other pending approvals", node("p", { class: "ss-muted" }, "Loading…"));
  const element = node("article", { class: "ss-details", "aria-labelledby": titleId },
    node("header", { class: "ss-details-head" },
      node("div", { class: "ss-details-title" },
        node("button", { type: "button", class: "ss-button ss-back", "aria-label": "Back to the list", onclick: back }, "‹"),
        node("h3", { id: titleId }, foldable(approval.summary, MAX_SUMMARY_CHARS)), node("span", { class: "ss-gap" }), countdown),
      node("div", { class: "ss-details-chips" }, chip(risk, color), approval.need === "two_leads" ? chip("Needs two leads", "accent") : null,
        approval.approvers?.length ? chip(["Needs ", value(approval.approvers.join(" and "))], "accent") : null, frozen, duplicate, claim, node("span", { class: "ss-gap" }), position),
      node("p", { class: "ss-muted" }, "Requested ", requested, " by ", requesterOf(approval), " · ", inboxLink(approval), " · ", claimButton)),
    node("div", { class: "ss-details-scroll", tabindex: "0", "aria-label": "Details" },
      node("div", { class: "ss-details-main" },
        changedFacts(approval.changed), since, approval.caller ? section("Why the client requests it", quotationOf(approval.caller)) : null, words,
        approval.effect?.length ? section("What will change", effectList(approval.effect, "Changes")) : null,
        section(["Exact call ", node("code", {}, exact(approval.action))], argumentList(approval) ?? node("p", { class: "ss-muted" }, "No arguments"), targetLine(approval.target)),
        section(["Why it needs approval ", node("span", { class: "ss-muted" }, `as of ${timeOfDay(approval.requested_at)}`)], notice, node("p", {}, approval.because ? "" : NEEDS[approval.need ?? "ask"] ?? ""), factList(approval))),
      node("div", { class: "ss-details-side" },
        customer, related, history.element)),
    node("footer", { class: "ss-details-foot" }, body));
  element.dataset.approvalId = id;
  const card = { id, approval, view: "ss-list", element, countdown, frozen, requested, body, select, claim, claimButton, duplicate, notice, history, position,
    buttons: {}, secondsLeft: 0, isBusy: false, isDecidedHere: false, isRefused: false, warnedUntil: null };
  showDraftOrActions(card);
  showClaim(card);
  showDuplicates(card);
  updateTimes(card);
  loadContext(approval, { since, words, related, customer }, open);
  return card;
}

/** @param {Approval} approval */
function inboxLink(approval) {
  if (approval.caller) return replayLink(approval);
  const link = linkButton("Open conversation", () => { openTab("Inbox"); emitWhenReady("inbox_open", approval.thread_id); });
  link.setAttribute("aria-label", nameOf("Open conversation", approval));
  return link;
}

/** @param {Child} title @param {...Child} content */
function section(title, ...content) {
  return node("section", {}, node("h4", {}, title), ...content);
}

/**
 * @param {Approval} approval
 * @param {{since: HTMLElement, words: HTMLElement, related: HTMLElement, customer: HTMLElement}} places
 * @param {(id: string) => void} open
 */
async function loadContext(approval, { since, words, related, customer }, open) {
  showCustomerName(approval, customer);
  try {
    /** @type {ApprovalContext} */
    const context = await request("GET", `/approvals/${encodeURIComponent(approval.approval_id)}/context`);
    since.replaceChildren(...changedSince(context.changed_since));
    replaceContent(words, context.words.length ? node("ol", { class: "ss-words" }, context.words.map((one) => wordsOf(one)))
      : node("p", { class: "ss-muted" }, "No messages before this request."));
    replaceContent(related, context.related.length
      ? node("ul", { class: "ss-related" }, context.related.map((one) => relatedOf(one, open)))
      : node("p", { class: "ss-muted" }, "None for this customer or conversation."));
  } catch {
    for (const place of [words, related]) replaceContent(place, node("p", { class: "ss-problem" }, "Can't be loaded now."));
  }
}

/** What is different now from what the request was judged on. @param {EffectLine[] | null} lines */
function changedSince(lines) {
  if (lines?.length === 0) return [];
  if (lines === null) return [node("p", { class: "ss-note" }, "Can't be read again now: what is below is from the time of the request.")];
  const shown = lines.map((line) => ({ ...line, field: humanize(line.field.replace(/_cents$/, "")) }));
  return [node("div", { class: "ss-note ss-note--red" }, node("b", {}, "Changed since the request"), effectList(shown, "Changed since the request"),
    "The call is checked again before it runs.")];
}

/** Adds the customer's name, if the agents file names a tool that knows it. @param {Approval} approval @param {HTMLElement} place */
async function showCustomerName(approval, place) {
  if (!approval.customer_id || approval.customer?.verified) return;
  try {
    /** @type {{result: {name?: unknown}}} */
    const { result } = await request("GET", `/inbox/${encodeURIComponent(approval.thread_id)}/customer/card`);
    if (typeof result?.name === "string") place.children[0].after(node("p", {}, node("b", {}, value(result.name))));
  } catch {
    // The id stays; the Inbox says what is wrong.
  }
}

/** Keeps the heading. @param {HTMLElement} place @param {Node} content */
function replaceContent(place, content) {
  while (place.children.length > 1) place.lastElementChild?.remove();
  place.append(content);
}

/** @param {ApprovalContext["words"][number]} one */
function wordsOf({ at, role, by, content }) {
  const name = role === "customer" ? "Customer" : role === "agent" ? agentTitle(by ?? "") : `${by}, colleague`;
  return node("li", { class: `ss-words-${role}` }, node("b", {}, visible(name)), " ",
    node("time", { class: "ss-muted", datetime: at }, timeOfDay(at)), " ", node("span", {}, content.length > 500 ? foldable(content, 500) : prose(content)));
}

/** @param {Approval} approval */
function customerLines({ customer, customer_id: id }) {
  if (!id && !customer) return [node("p", {}, "Not known")];
  const isVerified = Boolean(customer?.verified);
  const verified = isVerified ? ["Verified as ", value(customer?.name ?? customer?.email ?? customer?.id ?? "")] : "Not verified";
  return [node("p", {}, value(customer?.id ?? id ?? "")), customer?.email ? node("p", {}, value(customer.email)) : null,
    node("p", {}, chip(verified, isVerified ? "green" : ""))];
}

/** @param {ApprovalContext["related"][number]} one @param {(id: string) => void} open */
function relatedOf({ relation, approval }, open) {
  const isPending = approval.status === "pending";
  const link = linkButton("Show", () => open(approval.approval_id));
  link.setAttribute("aria-label", nameOf("Show", approval));
  return node("li", { class: relation === "duplicate" ? "ss-related--duplicate" : "" },
    node("p", {}, chip(RELATIONS[relation], relation === "duplicate" ? "amber" : "")),
    node("p", {}, node("b", {}, foldable(approval.summary))),
    node("p", { class: "ss-muted" }, isPending ? `Pending · ${timeAgo(Date.parse(approval.requested_at), now())}`
      : `Approved ${timeAgo(Date.parse(approval.decided_at ?? ""), now())} by ${approval.decided_by}`, isPending ? [" · ", link] : ""));
}

/** What the policy judged, without what the arguments say already. @param {Approval} approval */
function factList(approval) {
  const entries = Object.entries(approval.facts ?? {}).filter(([name, given]) =>
    given !== null && given !== "" && name !== "currency" && !(name in approval.args));
  if (entries.length === 0) return null;
  return node("dl", { class: "ss-facts" }, entries.map(([name, given]) => [
    node("dt", {}, humanize(name.replace(/_cents$/, ""))),
    node("dd", {}, asMoney(name, given, approval) ?? exact(typeof given === "string" ? given : JSON.stringify(given)))]));
}
