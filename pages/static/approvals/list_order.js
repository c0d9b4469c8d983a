// Which approvals the list shows, in which order, and which of its rows are drawn. Plain functions without a page.

import { hundredths } from "../shell/money.js";

/** @type {Record<string, number>} */
const RANK = { high: 0, medium: 1, low: 2 };

/**
 * @typedef {object} ListFilter
 * @property {string} q words of the summary, the arguments, the customer or the thread
 * @property {string} risk
 * @property {string} tool
 * @property {string} agent
 * @property {string} customer
 * @property {number | null} min in hundredths
 * @property {number | null} max in hundredths
 * @property {ListSort} sort
 */

/** Who requested a call: an agent, or an API client by its name. @param {Approval} approval */
export const callerOf = (approval) => approval.caller?.name ?? approval.agent;

/**
 * The approvals that a filter lets through, in its order.
 * @param {Approval[]} approvals
 * @param {ListFilter} filter
 */
export function arranged(approvals, filter) {
  const words = filter.q.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return approvals.filter((one) => matches(one, filter, words)).sort((one, other) => compare(one, other, filter.sort));
}

/** @param {Approval} one @param {ListFilter} filter @param {string[]} words */
function matches(one, filter, words) {
  if (filter.risk && one.risk !== filter.risk) return false;
  if (filter.tool && one.action !== filter.tool) return false;
  if (filter.agent && callerOf(one) !== filter.agent) return false;
  if (filter.customer && one.customer_id !== filter.customer) return false;
  const amount = one.amount ? hundredths(one.amount) : null;
  if (filter.min !== null && (amount === null || amount < filter.min)) return false;
  if (filter.max !== null && (amount === null || amount > filter.max)) return false;
  if (words.length === 0) return true;
  const text = [one.summary, one.action, one.agent, one.customer_id, one.thread_id, JSON.stringify(one.args)].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** @param {Approval} one @param {Approval} other @param {ListFilter["sort"]} sort */
function compare(one, other, sort) {
  const first = sort === "risk" ? RANK[one.risk] - RANK[other.risk]
    : sort === "amount" ? compareAmounts(one, other)
    : sort === "oldest" ? order(one.requested_at, other.requested_at) : 0;
  return first || order(one.expires_at, other.expires_at) || order(one.approval_id, other.approval_id);
}

/**
 * The highest first, one currency after the other: 2,500 yen are less than 100 euros. Those without an amount are last.
 * @param {Approval} one @param {Approval} other
 */
const compareAmounts = (one, other) => Number(!one.amount) - Number(!other.amount)
  || order(one.amount?.currency ?? "~", other.amount?.currency ?? "~") || size(other) - size(one);

/** @param {Approval} one */
const size = (one) => (one.amount ? hundredths(one.amount) : -1);

/** Orders ASCII texts, many times as fast as `localeCompare`. @param {string} one @param {string} other */
const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/**
 * The first row to draw, and the one after the last.
 * @param {number} top the scroll position in pixels
 * @param {number} height of the visible part
 * @param {number} row height of a row
 * @param {number} count
 * @param {number} [spare] rows beyond the visible part on each side
 * @returns {[number, number]}
 */
export function visibleRows(top, height, row, count, spare = 8) {
  const first = Math.max(0, Math.min(count, Math.floor(top / row)) - spare);
  return [first, Math.min(count, Math.ceil((top + height) / row) + spare)];
}
