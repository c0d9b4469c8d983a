// What the inbox calls people and conversations.

import { now } from "../shell/connection.js";
import { knownName } from "../shell/customers.js";
import { on } from "../shell/events.js";
import { agentTitle, timeOfDay } from "../shell/format.js";

/** @type {User | null} */
let user = null;
on("me", (me) => { user = me; });

/** The user of this page; null until the server has said who it is. */
export const currentUser = () => user;

/** Whether the user may answer, decide and note. */
export const isLead = () => user !== null && user.role !== "operator";

/** @param {string | null} name */
export const isMe = (name) => name !== null && name === user?.name;

/** A customer's name, their id, or the end of the thread's id where nothing is known. @param {InboxItem} item */
export const customerName = (item) => item.customer?.name ?? (item.customer_id
  ? knownName(item.customer_id) ?? item.customer_id : `Visitor ${item.thread_id.slice(-4)}`);

/** Who spoke. @param {string} role @param {string | null | undefined} by */
export function speaker(role, by) {
  if (role === "agent") return agentTitle(by ?? "");
  return isMe(by ?? null) ? "You" : by ?? "Colleague";
}

/** `14:18` today, else `Nov 29`. @param {string} time */
export function shortTime(time) {
  const date = new Date(time);
  return date.toDateString() === new Date(now()).toDateString() ? timeOfDay(time)
    : date.toLocaleDateString("en", { month: "short", day: "numeric" });
}

/** `8 min`, `3 h`, `2 d`. @param {string} since */
export function waitingTime(since) {
  const minutes = Math.max(0, (now() - Date.parse(since)) / 60_000);
  if (minutes < 60) return `${Math.max(1, Math.round(minutes))} min`;
  return minutes < 1440 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`;
}
