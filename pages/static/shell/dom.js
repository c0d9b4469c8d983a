// Builds nodes. Text from outside only ever becomes text of a node, with invisible characters made visible.

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
// Joiners that emoji and some scripts need, and ordinary white space.
const HARMLESS = new Set(["\n", "\t", "\u200c", "\u200d"]);

/** @param {string} character */
function symbol(character) {
  if (HARMLESS.has(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

/**
 * Replaces control and bidirectional characters by visible symbols: `␀`, `⟨U+202E⟩`.
 * @param {unknown} text
 */
export function visible(text) {
  return String(text ?? "").replaceAll("\r\n", "\n").replace(INVISIBLE, symbol);
}

/**
 * Creates an element. An attribute named `on...` is a listener; null, undefined and false leave an attribute out.
 * Strings become text, never markup.
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
  element.append(...flatten(children).map((child) => (typeof child === "string" ? visible(child) : child)));
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
 * @param {string} text
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
 */
export function showError(place, message) {
  place.hidden = !message;
  place.textContent = visible(message);
}

/** The message of whatever was thrown. @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));
