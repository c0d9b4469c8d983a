// Names of customers, read from the company's own system with the tool that the agents file names as `customer_card`.
// They are kept in this page alone.

import { emit } from "./events.js";
import { request } from "./rest.js";

const AT_ONCE = 2;
/** Of what is asked for while a list is scrolled, only the latest is read. */
const MOST_QUEUED = 30;
/** @type {Map<string, string>} */
const names = new Map();
/** Customers whose name is being read, was read, or could not be. @type {Map<string, Promise<void>>} */
const tried = new Map();
/** @type {{customerId: string, threadId: string, done: () => void}[]} */
let queue = [];
let running = 0;

/** A customer's name; null where this page has not read it. @param {string} customerId */
export const knownName = (customerId) => names.get(customerId) ?? null;

/** @param {string} customerId @param {string} name */
export function noteName(customerId, name) {
  tried.set(customerId, Promise.resolve());
  if (names.get(customerId) === name) return;
  names.set(customerId, name);
  emit("customer_named", customerId);
}

/**
 * Reads the name of a conversation's customer, once; the event "customer_named" tells it. Returns when that is done, or
 * will not be.
 * @param {{customer_id: string | null, thread_id: string, customer?: {name?: string | null} | null}} one
 * @returns {Promise<void>}
 */
export function readName({ customer_id: customerId, thread_id: threadId, customer }) {
  if (!customerId || customer?.name || !window.ssConfig.has_customer_card) return Promise.resolve();
  const known = tried.get(customerId);
  if (known) return known;
  const reading = new Promise((/** @type {(value: void) => void} */ done) => { queue.push({ customerId, threadId, done }); });
  tried.set(customerId, reading);
  for (const left of queue.splice(0, Math.max(0, queue.length - MOST_QUEUED))) { tried.delete(left.customerId); left.done(); }
  next();
  return reading;
}

async function next() {
  const one = running < AT_ONCE ? queue.pop() : undefined;
  if (!one) return;
  running += 1;
  try {
    const { result } = await request("GET", `/inbox/${encodeURIComponent(one.threadId)}/customer/card`);
    if (typeof result?.name === "string") noteName(one.customerId, result.name);
  } catch {
    // The id stays; the Inbox says what is wrong.
  }
  running -= 1;
  one.done();
  next();
}
