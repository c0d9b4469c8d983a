// Builds nodes. Text from outside only ever becomes text of a node, with invisible characters made visible.

/** @param {[number, number][]} ranges */
const characterClass = (ranges) =>
  `[${ranges.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`).join("")}]`;
const [ANY, SYMBOL] = [window.ssConfig.invisible, window.ssConfig.symbols].map(characterClass);
const INVISIBLE = new RegExp(ANY, "gu");
const EMOJI_OR_INVISIBLE = new RegExp(`(${SYMBOL}\\uFE0F?(?:\\u200D${SYMBOL}\\uFE0F?)*)|${ANY}`, "gu");
const INPUTS = new Set(["input", "textarea", "option", "select"]);
// What many languages need in ordinary sentences: joiners, variation selectors, wider and narrower spaces.
const IN_PROSE = new Set(["\u200c", "\u200d", "\ufe0e", "\ufe0f", "\u00a0", "\u202f", "\u3000"]);

/** @param {string} character */
function symbol(character) {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/** @param {unknown} text */
const lines = (text) => String(text ?? "").replaceAll("\r\n", "\n");

/**
 * Replaces characters without ink by visible symbols: `␀`, `⟨U+202E⟩`. Emoji stay as they are.
 * @param {unknown} text
 */
export const visible = (text) => lines(text).replace(EMOJI_OR_INVISIBLE, (match, emoji) => emoji ?? symbol(match));

/**
 * As `visible`, inside emoji too: for values, in which nothing may be hidden.
 * @param {unknown} text
 */
export const exact = (text) => lines(text).replace(INVISIBLE, symbol);

/**
 * The node of a sentence, which may contain what many languages need. Not for what is approved.
 * @param {unknown} text
 */
export const prose = (text) => document.createTextNode(
  lines(text).replace(INVISIBLE, (match) => (IN_PROSE.has(match) ? match : symbol(match))));

/** A value in a sentence, which keeps its own direction. @param {string} text */
export const value = (text) => node("bdi", {}, exact(text));

/**
 * Creates an element. An attribute named `on...` is a listener; null, undefined and false leave an attribute out.
 * Strings become text, never markup; an element with text or for text takes its direction from it.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  const parts = flatten(children);
  if (INPUTS.has(tag) || parts.some((part) => !(part instanceof Element))) element.dir = "auto";
  element.append(...parts.map((part) => (typeof part === "string" ? visible(part) : part)));
  return element;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function flatten(children) {
  return children.flatMap((child) => (Array.isArray(child) ? flatten(child) : child ? [child] : []));
}

/**
 * A small label. Colours: green, red, amber, accent, teal; grey without one.
 * @param {Child} text
 * @param {string} [color]
 */
export const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);

/**
 * A button that looks like a link.
 * @param {string} text
 * @param {(event: MouseEvent) => void} onclick
 */
export const linkButton = (text, onclick) => node("button", { type: "button", class: "ss-link", onclick }, text);

/**
 * A button. Kinds: green, red, accent, quiet; grey without one.
 * @param {string} text
 * @param {string} kind
 * @param {(event: MouseEvent) => void} onclick
 */
export const actionButton = (text, kind, onclick) =>
  node("button", { type: "button", class: `ss-button${kind ? ` ss-button--${kind}` : ""}`, onclick }, text);

/**
 * Finds an element that the page always has; throws where it is missing or of another type.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function find(root, selector, type = /** @type {any} */ (HTMLElement)) {
  const element = root.querySelector(selector);
  if (!(element instanceof type)) throw new Error(`The page has no ${selector}`);
  return element;
}

/**
 * The element under an event's target, or around it, that fits a selector.
 * @param {Event} event
 * @param {string} selector
 */
export function closest(event, selector) {
  const element = event.target instanceof Element ? event.target.closest(selector) : null;
  return element instanceof HTMLElement ? element : null;
}

/**
 * Shows an error's message in its place, or hides the place where there is none.
 * @param {HTMLElement} place
 * @param {string} message
 * @param {() => void} [retry] what "Try again" does; without it there is no such button
 */
export function showError(place, message, retry) {
  place.hidden = !message;
  place.dir = "auto";
  place.textContent = visible(message);
  if (message && retry) place.append(" ", linkButton("Try again", retry));
}

/** The message of whatever was thrown. @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));
