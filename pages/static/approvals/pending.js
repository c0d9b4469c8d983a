// The pending approvals that the server has told this page about, for all views of them.

import { send } from "../shell/connection.js";
import { emit, on } from "../shell/events.js";

/** @type {Map<string, Approval>} */
const known = new Map();
let isLoaded = false;
let isTruncated = false;
/** @type {ListSort} */
let order = "expiry";
const MIN_FOR_USUAL = 3;

/** Pending approvals, also those whose decision is held. `isTruncated`: the server has more. */
export const pending = {
  get isLoaded() { return isLoaded; },
  get isTruncated() { return isTruncated; },
  /** @param {string} id */
  get: (id) => known.get(id),
  all: () => [...known.values()],
};

/** Other pending approvals that may request the same thing. @param {Approval} approval */
export function duplicatesOf(approval) {
  return pending.all().filter((one) =>
    one.duplicate_key === approval.duplicate_key && one.approval_id !== approval.approval_id);
}

/**
 * The risk that most of the pending approvals have: to mark it would separate nothing. Null where there is none.
 * @returns {string | null}
 */
export function usualRisk() {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const { risk } of known.values()) counts[risk] = (counts[risk] ?? 0) + 1;
  const [risk, count] = Object.entries(counts).sort((one, other) => other[1] - one[1])[0] ?? ["", 0];
  return known.size >= MIN_FOR_USUAL && count > known.size / 2 ? risk : null;
}

/** The keys that more than one pending approval has. */
export function repeatedKeys() {
  const [once, again] = [new Set(), new Set()];
  for (const { duplicate_key: key } of known.values()) (once.has(key) ? again : once).add(key);
  return again;
}

/** @param {Approval} approval */
function put(approval) {
  if (approval.status === "pending") known.set(approval.approval_id, approval);
  else known.delete(approval.approval_id);
}

/** Has the server send the pending approvals, and each that changes. */
export const requestPending = () => send({ type: "watch_approvals", sort: order });

/** Has the server send the first in another order, where there are more than it sends. @param {ListSort} sort */
export function orderBy(sort) {
  if (sort === order) return;
  order = sort;
  if (isTruncated) requestPending();
}

on("request_pending", requestPending);
on("approvals", (frame) => {
  known.clear();
  frame.items.forEach(put);
  isLoaded = true;
  isTruncated = frame.more;
  emit("pending_changed", undefined);
});
on("approval", ({ approval }) => {
  put(approval);
  emit("pending_changed", undefined);
});
