// Claims: who is working on an approval.

import { now } from "../shell/connection.js";
import { on } from "../shell/events.js";
import { timeOfDay } from "../shell/format.js";
import { request } from "../shell/rest.js";

// What this window has claimed survives its reload. Where people log in, a claim is theirs in every window.
const STORAGE_KEY = "ss-claimed";
const claimedHere = new Set(load());
/** @type {User | null} */
let user = null;
on("me", (me) => { user = me; });

/**
 * Who has claimed an approval; null where nobody has or the claim has ended. `canRelease`: the server lets this user
 * release it.
 * @param {Approval} approval
 */
export function claimOf(approval) {
  if (!approval.claimed_by || !approval.claimed_until || Date.parse(approval.claimed_until) <= now()) return null;
  const isSameName = approval.claimed_by === user?.name;
  const isOwn = claimedHere.has(approval.approval_id) || (isSameName && Boolean(user?.login));
  return { name: approval.claimed_by, isOwn, canRelease: isOwn || isSameName, until: timeOfDay(approval.claimed_until) };
}

/** Whether the user requested it and somebody else has to approve it. The server decides; it knows all names of a person. @param {Approval} approval */
export const isOwnRequest = (approval) => Boolean(user?.login) && approval.asked_by === user?.name;

/** @returns {string[]} */
function load() {
  try { return JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "[]"); } catch { return []; }
}

function save() {
  try { sessionStorage.setItem(STORAGE_KEY, JSON.stringify([...claimedHere])); } catch { /* lasts until the page is left */ }
}

/**
 * Whether a card may be decided. The first try on a card that somebody else has claimed is refused, once for each claim.
 * @param {Card} card
 */
export function mayDecide(card) {
  const claim = claimOf(card.approval);
  if (!claim || claim.isOwn || card.warnedUntil === card.approval.claimed_until) return true;
  card.warnedUntil = card.approval.claimed_until;
  return false;
}

/** Claims a card for this window, or releases it; the server tells all windows. @param {Card} card */
export async function toggleClaim(card) {
  const path = `/approvals/${encodeURIComponent(card.id)}/claim`;
  if (claimOf(card.approval)?.canRelease) {
    await request("DELETE", path);
    claimedHere.delete(card.id);
  } else {
    claimedHere.add(card.id);
    await request("POST", path).catch((error) => { claimedHere.delete(card.id); throw error; });
  }
  save();
}
