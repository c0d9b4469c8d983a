// The admin's SQL box over the event log.

import { find, messageOf, node, showError, visible } from "../shell/dom.js";
import { plural } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";

/** @param {unknown} value */
const cellText = (value) => (value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** @param {{columns: string[], rows: unknown[][], truncated: boolean}} result */
function resultTable({ columns, rows, truncated }) {
  return [
    node("table", {}, node("thead", {}, node("tr", {}, columns.map((name) => node("th", {}, visible(name))))),
      node("tbody", {}, rows.map((row) => node("tr", {}, row.map((value) => node("td", {}, cellText(value))))))),
    node("p", { class: "ss-muted" }, `${plural(rows.length, "row")}${truncated ? " (truncated)" : ""}`),
  ];
}

register("sql", (root) => {
  const sql = find(root, ".ss-sql textarea", HTMLTextAreaElement);
  const button = find(root, ".ss-sql .ss-run", HTMLButtonElement);
  const [problem, result] = [".ss-sql .ss-problem", ".ss-sql .ss-scroll"].map((selector) => find(root, selector));

  async function run() {
    button.disabled = true;
    showError(problem, "");
    try {
      result.replaceChildren(...resultTable(await request("POST", "/analytics/sql", { sql: sql.value })));
    } catch (error) {
      result.replaceChildren();
      showError(problem, messageOf(error));
    } finally {
      button.disabled = false;
    }
  }

  button.addEventListener("click", run);
  sql.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
});
