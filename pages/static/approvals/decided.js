// The list of recently decided approvals.

import { now } from "../shell/connection.js";
import { chip, node, value } from "../shell/dom.js";
import { foldable } from "../shell/foldable.js";
import { humanize, timeAgo, timeOfDay } from "../shell/format.js";
import { conversationLink, MAX_SUMMARY_CHARS } from "./card.js";
import { argumentList } from "./card_parts.js";
import { quotationOf } from "./caller.js";
import { effectList } from "./effect.js";
import { makeHistory } from "./history.js";

const MAX_SHOWN = 10;
/** @type {Record<string, [string, string]>} */
export const OUTCOMES = {
  approved: ["Approved", "green"], edited: ["Approved with changes", "green"],
  rejected: ["Rejected", "red"], expired: ["Expired", "amber"],
  responded: ["Answered", "green"], withdrawn: ["Withdrawn", "amber"],
};
/** @type {Record<string, string>} */
const VERBS = { rejected: "Rejected", responded: "Answered", withdrawn: "Withdrawn" };
/** @type {Record<string, string>} */
const FAILURES = { failed: "Not carried out. Nothing was changed.", outcome_unknown: "It may have been carried out. Check manually." };
/** @type {Record<string, string>} */
const RAN = { done: "Carried out", not_started: "Not carried out yet", running: "Being carried out" };
/** @type {Record<string, [string, string]>} */
const NOT_RUN = { failed: ["Approved, not carried out", "red"], outcome_unknown: ["Approved, outcome unknown", "amber"] };

/** An outcome's label and colour. @param {Approval} approval @returns {[string, string]} */
export const outcomeOf = (approval) =>
  NOT_RUN[approval.execution ?? ""] ?? OUTCOMES[approval.status] ?? [humanize(approval.status), ""];

/** What became of an approval, as a sentence. @param {Approval} approval */
export const outcomeText = (approval) => (approval.status === "expired" ? "Expired without a decision. It did not run."
  : `${outcomeOf(approval)[0]} by ${approval.decided_by} at ${timeOfDay(approval.decided_at ?? "")}.`);

/** The decided approvals, newest first. An entry keeps its history, with what is open and typed, when it changes. */
export class DecidedList {
  /** @type {Map<string, {element: HTMLElement, time: HTMLElement, history: ApprovalHistory, at: string}>} */
  #entries = new Map();
  #list;
  #most;

  /** @param {HTMLElement} list @param {number} most how many it shows */
  constructor(list, most = MAX_SHOWN) {
    this.#list = list;
    this.#most = most;
  }

  clear() {
    this.#entries.clear();
    this.#list.replaceChildren();
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  /** @param {string} approvalId */
  has(approvalId) {
    return this.#entries.has(approvalId);
  }

  /** @param {Approval} approval */
  put(approval) {
    const known = this.#entries.get(approval.approval_id);
    const history = known?.history ?? makeHistory(approval,
      () => [quotationOf(approval.caller), effectList(approval.effect, "Changes"), argumentList(approval)]);
    const element = known?.element ?? node("li", { class: "ss-card ss-decided" }, history.element);
    const time = node("span");
    while (element.firstChild && element.firstChild !== history.element) element.firstChild.remove();
    history.element.before(...decidedLines(approval, time));
    history.update(approval);
    element.className = `ss-card ss-decided ss-approval--${outcomeOf(approval)[1]}`;
    const at = approval.decided_at ?? "";
    this.#entries.set(approval.approval_id, { element, time, history, at });
    if (!known) this.#insert(element, at);
    this.updateTimes();
  }

  updateTimes() {
    for (const { element, time, at } of this.#entries.values()) {
      if (element.isConnected) time.textContent = timeAgo(Date.parse(at), now());
    }
  }

  /** @param {HTMLElement} element @param {string} at */
  #insert(element, at) {
    const older = [...this.#entries.values()].filter((other) => other.element.isConnected && other.at < at)
      .sort((one, other) => other.at.localeCompare(one.at))[0];
    this.#list.insertBefore(element, older?.element ?? null);
    while (this.#list.children.length > this.#most) this.#list.lastElementChild?.remove();
  }
}

/** @param {Approval} approval @param {HTMLElement} time */
function decidedLines(approval, time) {
  const by = approval.status === "expired" ? ["Expired without a decision"]
    : [`${VERBS[approval.status] ?? "Approved"} by `, value(approval.decided_by ?? "")];
  const failure = FAILURES[approval.execution ?? ""];
  const ran = RAN[approval.execution ?? ""];
  const detail = failure && approval.execution_reason ? ` ${approval.execution_reason}` : "";
  return [
    node("header", {}, node("h4", {}, humanize(approval.action)), node("span", { class: "ss-gap" }), chip(...outcomeOf(approval))),
    node("p", { class: "ss-muted" }, foldable(approval.summary, MAX_SUMMARY_CHARS)),
    node("p", { class: "ss-muted" }, by, " · ", time, ran ? ` · ${ran}` : "", " · ", conversationLink(approval)),
    approval.reason ? node("p", { class: "ss-reason" }, foldable(approval.reason, MAX_SUMMARY_CHARS)) : "",
    failure ? node("p", { class: "ss-problem" }, foldable(failure + detail, MAX_SUMMARY_CHARS)) : "",
  ];
}
