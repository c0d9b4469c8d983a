// Gradio's tabs, by their names.

import { closest } from "./dom.js";

const TAB = 'button[role="tab"]';

/** Opens a tab. @param {string} name */
export function openTab(name) {
  for (const tab of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(TAB))) {
    if (tab.textContent?.trim() === name && tab.getAttribute("aria-selected") !== "true") tab.click();
  }
}

/** As `openTab`, as soon as Gradio has placed the tabs. @param {string} name */
export function openTabWhenReady(name) {
  if (document.querySelector(TAB)) openTab(name);
  else requestAnimationFrame(() => openTabWhenReady(name));
}

/**
 * Calls `listener` each time a tab is opened.
 * @param {string} name
 * @param {() => void} listener
 */
export function onTab(name, listener) {
  document.addEventListener("click", (event) => {
    if (closest(event, TAB)?.textContent?.trim() === name) listener();
  });
}
