// Inputs for a call's arguments, each of the argument's own type.

import { exact, node } from "../shell/dom.js";

/**
 * An input for one argument. `read` returns its value in the argument's type, or throws with what is wrong.
 * @param {string} id
 * @param {string} name
 * @param {any} value
 * @param {JsonSchema} schema
 * @returns {ArgumentField}
 */
export function argumentField(id, name, value, schema) {
  const choices = schema.enum;
  if (Array.isArray(choices) && choices.length) {
    const input = node("select", { id, name }, choices.map((choice) =>
      node("option", { value: JSON.stringify(choice), selected: choice === value }, String(choice))));
    return { name, input, read: () => JSON.parse(input.value) };
  }
  if (typeof value === "boolean") {
    const input = node("input", { id, name, type: "checkbox" });
    input.checked = value;
    return { name, input, read: () => input.checked };
  }
  if (typeof value === "number") return numberField(id, name, value, schema);
  if (typeof value === "string") return textField(id, name, value);
  return jsonField(id, name, value);
}

/**
 * What an input contains, where some of it can't be seen there.
 * @param {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} input
 */
export function hiddenCharacters(input) {
  const note = node("p", { class: "ss-problem ss-problem--amber ss-hidden", dir: "auto", role: "status" });
  const update = () => {
    const shown = exact(input.value);
    note.hidden = shown === input.value.replaceAll("\r\n", "\n");
    note.textContent = note.hidden ? "" : `Contains invisible characters: ${shown}`;
  };
  input.addEventListener("input", update);
  update();
  return note;
}

/** @param {string} id @param {string} name @param {number} value @param {JsonSchema} schema */
function numberField(id, name, value, schema) {
  const input = node("input", { id, name, type: "text", inputmode: "decimal" });
  input.value = String(value);
  const isInteger = schema.type === "integer" || (schema.type === undefined && Number.isInteger(value));
  return { name, input, read: () => {
    const number = Number(input.value.trim());
    if (input.value.trim() === "" || !Number.isFinite(number)) throw new Error(`${name}: enter a number`);
    if (isInteger && !Number.isSafeInteger(number)) throw new Error(`${name}: enter a whole number`);
    return number;
  } };
}

/** @param {string} id @param {string} name @param {string} value */
function textField(id, name, value) {
  const isLong = value.length > 60 || value.includes("\n");
  const input = isLong ? node("textarea", { id, name, rows: "3" }) : node("input", { id, name, type: "text" });
  input.value = value;
  // The browser changes line ends by itself; that is no edit.
  const initial = input.value;
  return { name, input, read: () => (input.value === initial ? value : input.value) };
}

/** @param {string} id @param {string} name @param {unknown} value */
function jsonField(id, name, value) {
  const input = node("textarea", { id, name, rows: "4", class: "ss-json", spellcheck: "false" });
  input.value = JSON.stringify(value, null, 1);
  return { name, input, read: () => {
    try { return JSON.parse(input.value); } catch { throw new Error(`${name}: enter valid JSON`); }
  } };
}
