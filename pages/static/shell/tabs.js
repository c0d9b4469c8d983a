// Gradio's tabs, by their names.

import { addressPart, setAddress } from "./address.js";
import { closest } from "./dom.js";

const TAB = 'button[role="tab"]';

/** Opens a tab. @param {string} name */
export function openTab(name) {
  for (const tab of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(TAB))) {
    if (tab.textContent?.trim() === name && tab.getAttribute("aria-selected") !== "true") tab.click();
  }
}

/** As `openTab`, as soon as Gradio has placed the tabs. @param {string} name */
export const openTabWhenReady = (name) => whenPlaced(() => openTab(name));

/** The name of a tab in the address; the first tab has none. @param {Element} tab */
function nameOf(tab) {
  const isFirst = tab === document.querySelector(TAB);
  return isFirst ? "" : tab.textContent?.trim().toLowerCase().replaceAll(" ", "-") ?? "";
}

function openAddressed() {
  for (const tab of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(TAB))) {
    if (nameOf(tab) === addressPart("tab") && tab.getAttribute("aria-selected") !== "true") tab.click();
  }
}

document.addEventListener("click", (event) => {
  const tab = closest(event, TAB);
  if (tab) setAddress({ tab: nameOf(tab) });
});
addEventListener("popstate", openAddressed);
if (addressPart("tab")) whenPlaced(openAddressed);

/** @param {() => void} action */
function whenPlaced(action) {
  if (document.querySelector(TAB)) action();
  else requestAnimationFrame(() => whenPlaced(action));
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
