// Who requested a call: an agent of ours, or an API client with what it says of itself. Nobody has verified what a
// client says, so it only ever stands in a quotation, on one line, with each invisible character as a symbol.

import { exact, linkButton, node, value } from "../shell/dom.js";
import { emitWhenReady } from "../shell/events.js";
import { foldable } from "../shell/foldable.js";
import { agentTitle } from "../shell/format.js";
import { openTab } from "../shell/tabs.js";
import { nameOf } from "./names.js";

const MAX_REASON_CHARS = 240;
const MAX_FACT_CHARS = 60;

/** Words of a client, on one line. @param {string} words */
const onOneLine = (words) => exact(words).replaceAll("\n", " ⏎ ");

/** The requester's name in a sentence: `Order changes`, `claude (API client)`. @param {Approval} approval @returns {Child} */
export const requesterOf = (approval) =>
  (approval.caller ? [value(onOneLine(approval.caller.name)), " (API client)"] : agentTitle(approval.agent));

/** The requester's name as text. @param {Approval} approval */
export const requesterText = (approval) =>
  (approval.caller ? `${onOneLine(approval.caller.name)} (API client)` : agentTitle(approval.agent));

/** A link to the record of a client's call, which belongs to no conversation. @param {Approval} approval */
export function replayLink(approval) {
  const link = linkButton("Replay", () => { openTab("Replay"); emitWhenReady("replay_open", { threadId: approval.thread_id }); });
  link.setAttribute("aria-label", nameOf("Replay", approval));
  return link;
}

/**
 * What a client says of itself and of its request, as a quotation; null for an agent of ours.
 * @param {Caller | null | undefined} caller
 */
export function quotationOf(caller) {
  if (!caller) return null;
  /** @param {string} label @param {string | null | undefined} words */
  const fact = (label, words) =>
    (words ? node("span", {}, `${label} `, node("bdi", {}, foldable(onOneLine(words), MAX_FACT_CHARS))) : null);
  const facts = [fact("Program", caller.client_name), fact("Version", caller.client_version), fact("Session", caller.session)];
  return node("figure", { class: "ss-says" },
    node("figcaption", {}, value(caller.name), " says (not verified):"),
    node("blockquote", {}, caller.reason
      ? node("bdi", {}, foldable(`“${onOneLine(caller.reason)}”`, MAX_REASON_CHARS)) : node("i", {}, "No reason given")),
    facts.some(Boolean) ? node("p", { class: "ss-says-facts" }, facts) : null);
}
