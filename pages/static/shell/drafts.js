// What somebody has typed and not sent. It is kept in this browser tab, so that it survives a reload: Gradio
// reloads the page by itself when its connection breaks. Logging out deletes it.

const PREFIX = "ss-draft:";
/** For browsers that store nothing. @type {Map<string, string>} */
const memory = new Map();

/** @param {string} key @param {object} draft */
export function keepDraft(key, draft) {
  const text = JSON.stringify(draft);
  memory.set(key, text);
  try { sessionStorage.setItem(PREFIX + key, text); } catch { /* it lasts until the page is left */ }
}

/** What was kept under a key; null where there is nothing. @param {string} key @returns {any} */
export function draftOf(key) {
  let text = memory.get(key) ?? null;
  try { text = sessionStorage.getItem(PREFIX + key) ?? text; } catch { /* the memory has it */ }
  return text === null ? null : JSON.parse(text);
}

/** @param {string} key */
export function dropDraft(key) {
  memory.delete(key);
  try { sessionStorage.removeItem(PREFIX + key); } catch { /* it was never stored */ }
}

/** Deletes all drafts: the next person at this browser may be another one. */
export function dropAllDrafts() {
  memory.clear();
  try {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  } catch { /* they were never stored */ }
}
