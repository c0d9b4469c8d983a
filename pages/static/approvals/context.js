// What stands beside an approval: the customer and their words, what has changed since, and what else is pending. It
// is read when an approval is shown, and for the next ones before they are, so that nothing moves when it comes.

import { now } from "../shell/connection.js";
import { knownName, readName } from "../shell/customers.js";
import { chip, linkButton, node, prose, value, visible } from "../shell/dom.js";
import { foldable } from "../shell/foldable.js";
import { agentTitle, humanize, timeAgo, timeOfDay } from "../shell/format.js";
import { money, otherAmounts } from "../shell/money.js";
import { request } from "../shell/rest.js";
import { section } from "./card_parts.js";
import { effectList } from "./effect.js";
import { nameOf } from "./names.js";
import { otherIds } from "./other_ids.js";

/** What was read before is shown at once, and read again if it is older. */
const FRESH_MS = 10_000;
const MOST_KEPT = 50;
/** @type {Record<string, string>} */
const RELATIONS = { duplicate: "Possible duplicate", same_thread: "Same conversation", same_customer: "Same customer" };
/** @type {Map<string, {at: number, reading: Promise<ApprovalContext>, context: ApprovalContext | null}>} */
const kept = new Map();

/** @param {string} id */
function read(id) {
  const known = kept.get(id);
  if (known && Date.now() - known.at < FRESH_MS) return known;
  const entry = { at: Date.now(), context: known?.context ?? null,
    reading: /** @type {Promise<ApprovalContext>} */ (request("GET", `/approvals/${encodeURIComponent(id)}/context`)) };
  entry.reading.then((context) => { entry.context = context; }, () => kept.delete(id));
  kept.delete(id);
  kept.set(id, entry);
  for (const oldest of kept.keys()) { if (kept.size <= MOST_KEPT) break; kept.delete(oldest); }
  return entry;
}

/** Reads what stands beside an approval that will be shown soon. @param {Approval} approval */
export function readAhead(approval) {
  read(approval.approval_id);
  readName(approval);
}

/**
 * The parts of an approval that are read for it. `open` shows another approval.
 * @param {Approval} approval
 * @param {(id: string) => void} open
 */
export function makeContext(approval, open) {
  const since = node("div", { class: "ss-since", role: "status" }, node("p", { class: "ss-muted" }, "Checking what has changed since the request…"));
  const [words, related] = ["Customer's words", "Other pending approvals"].map((title) =>
    section(title, node("p", { class: "ss-muted" }, "Loading…")));
  const customer = section("Customer", ...customerLines(approval));

  /** @param {ApprovalContext} context */
  function draw(context) {
    since.replaceChildren(...changedSince(context.changed_since));
    const texts = context.words.filter((one) => one.role === "customer").map((one) => one.content);
    const amounts = otherAmounts(approval, texts);
    const ids = otherIds(approval, texts);
    replaceContent(words,
      ids ? node("p", { class: "ss-changed" }, `The customer names ${ids.named}. This call is for ${ids.given}.`) : "",
      amounts ? node("p", { class: "ss-changed" }, `The customer names ${amounts}. This call is for ${money(/** @type {Amount} */ (approval.amount))}.`) : "",
      context.words.length ? node("ol", { class: "ss-words" }, context.words.map((one) => wordsOf(one)))
        : node("p", { class: "ss-muted" }, "No messages before this request."));
    replaceContent(related, context.related.length
      ? node("ul", { class: "ss-related" }, context.related.map((one) => relatedOf(one, open)))
      : node("p", { class: "ss-muted" }, "None for this customer or conversation."));
  }

  async function load() {
    readName(approval).then(() => customer.replaceChildren(customer.children[0], ...customerLines(approval)));
    const entry = read(approval.approval_id);
    if (entry.context) draw(entry.context);
    try {
      const shown = entry.context;
      const context = await entry.reading;
      if (context !== shown) draw(context);
    } catch {
      since.replaceChildren(...changedSince(null));
      for (const place of [words, related]) replaceContent(place, node("p", { class: "ss-problem" }, "Can't be loaded now."));
    }
  }

  return { since, words, customer, related, load };
}

/** What is different now from what the request was judged on. @param {EffectLine[] | null} lines */
function changedSince(lines) {
  if (lines?.length === 0) return [node("p", { class: "ss-muted" }, "Nothing has changed since the request.")];
  if (lines === null) return [node("p", { class: "ss-muted" }, "Can't be read again now: what is below is from the time of the request.")];
  const shown = lines.map((line) => ({ ...line, field: humanize(line.field.replace(/_cents$/, "")) }));
  return [node("div", { class: "ss-note ss-note--red" }, node("b", {}, "Changed since the request"), effectList(shown, "Changed since the request"))];
}

/** Keeps the heading. @param {HTMLElement} place @param {(Node | string)[]} content */
function replaceContent(place, ...content) {
  while (place.children.length > 1) place.lastElementChild?.remove();
  place.append(...content);
}

/** @param {ApprovalContext["words"][number]} one */
function wordsOf({ at, role, by, content }) {
  const name = role === "customer" ? "Customer" : role === "agent" ? agentTitle(by ?? "") : `${by}, colleague`;
  return node("li", { class: `ss-words-${role}` }, node("b", {}, visible(name)), " ",
    node("time", { class: "ss-muted", datetime: at }, timeOfDay(at)), " ", node("span", {}, content.length > 500 ? foldable(content, 500) : prose(content)));
}

/** Who it is, on two lines from the start, whether their name is known or not. @param {Approval} approval */
function customerLines({ customer, customer_id: id }) {
  if (!id && !customer) return [node("p", {}, "Not known")];
  const name = customer?.name ?? (id ? knownName(id) : null);
  const known = customer?.id ?? id ?? "";
  return [node("p", {}, node("b", {}, value(name ?? known)), name ? [" · ", value(known)] : ""),
    customer?.email ? node("p", {}, value(customer.email)) : null,
    node("p", {}, customer?.verified ? chip("Verified", "green") : node("span", { class: "ss-muted" }, "Not verified by your website"))]
    .filter((one) => one !== null);
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
