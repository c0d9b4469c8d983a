// The address has the open tab and the open replay, so that reloads, links and the back button work.

/** Whether this task has added an entry to the history: what follows in it belongs to the same step. */
let isAdded = false;

/** A part of the address; empty where it has none. @param {"tab" | "replay" | "step"} name */
export const addressPart = (name) => new URLSearchParams(location.search).get(name) ?? "";

/**
 * Changes parts of the address; an empty text removes one.
 * @param {Partial<Record<"tab" | "replay" | "step", string>>} parts
 * @param {{isNew?: boolean}} options isNew: the back button leads to what was before
 */
export function setAddress(parts, { isNew = true } = {}) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(parts)) {
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
  }
  address.hash = "";
  if (address.search === location.search) return;
  if (!isNew || isAdded) { history.replaceState(history.state, "", address); return; }
  history.pushState(null, "", address);
  isAdded = true;
  setTimeout(() => { isAdded = false; });
}
