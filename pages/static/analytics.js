// The Analytics tab's own scripts: from a figure to its conversations, the made-up history, an admin's questions.

import { onTab, openTab, register, tellWhenThere } from "./shell.js";
import { asked } from "./rest.js";
import { node, visible } from "./text.js";

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".ss-behind");
  if (!link) return;
  openTab("Replay");
  if (link.dataset.open) tellWhenThere("replay_open", { threadId: link.dataset.open });
  else tellWhenThere("replay_find", new URLSearchParams(link.dataset.find));
});

// Being counted

const LONGEST_COUNT_MS = 20_000;
const count = { shown: null, timer: null };
/** Until when what is on show was counted: never twice the same. */
const until = () => document.querySelector("#ss-cards .ss-figures")?.dataset.until;

/** The figures on show are those of before, until others stand in their place or none will come. */
function counting() {
  count.shown = until();
  if (!count.shown) return;
  document.body.classList.add("ss-counts");
  clearTimeout(count.timer);
  count.timer = setTimeout(counted, LONGEST_COUNT_MS);
}

function counted() {
  clearTimeout(count.timer);
  document.body.classList.remove("ss-counts");
}

document.addEventListener("change", (event) => {
  if (event.target.closest?.("#ss-analytics-bar")) counting();
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("#ss-analytics-bar button, #ss-analytics-filters [role=option]")) counting();
});

function watchCards() {
  new MutationObserver(() => { if (until() !== count.shown) counted(); })
    .observe(document.querySelector("#ss-cards"), { attributes: true, childList: true, subtree: true });
}

// Made-up conversations

async function noteDemo() {
  const found = await asked("GET", "/demo-history").catch(() => null);
  for (const note of document.querySelectorAll(".ss-demo-note")) {
    note.hidden = !found?.conversations;
    note.firstElementChild.textContent =
      `${found?.conversations ?? 0} of these conversations are made up, for a first look at the figures.`;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.(".ss-demo-note button");
  if (!button || !confirm("Erase the made-up conversations? Real ones stay.")) return;
  button.disabled = true;
  try {
    await asked("DELETE", "/demo-history");
    document.querySelector("#ss-analytics-bar button")?.click();
    tellWhenThere("replay_find", new URLSearchParams());
  } catch (error) {
    button.previousElementSibling.textContent = visible(error.message);
  } finally {
    button.disabled = false;
    noteDemo();
  }
});

// An admin's questions

function table({ columns, rows, truncated }) {
  const cell = (value) => node("td", {}, value === null ? "–" : visible(
    typeof value === "object" ? JSON.stringify(value) : String(value)));
  return [
    node("table", {}, node("thead", {}, node("tr", {}, columns.map((name) => node("th", {}, visible(name))))),
      node("tbody", {}, rows.map((row) => node("tr", {}, row.map(cell))))),
    node("p", { class: "ss-muted" }, `${rows.length.toLocaleString("en")} rows${truncated ? ", and more" : ""}`),
  ];
}

register("analytics", (root) => {
  const box = root.querySelector(".ss-sql");
  const [sql, run, problem, rows] = ["textarea", ".ss-run", ".ss-problem", ".ss-scroll"].map((name) => box.querySelector(name));
  async function ask() {
    run.disabled = true;
    problem.hidden = true;
    try {
      rows.replaceChildren(...table(await asked("POST", "/analytics/sql", { sql: sql.value })));
    } catch (error) {
      rows.replaceChildren();
      problem.hidden = false;
      problem.textContent = visible(error.message);
    } finally {
      run.disabled = false;
    }
  }
  run.addEventListener("click", ask);
  sql.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
  });
  watchCards();
});

// In both tabs, whichever is opened first.
register("demo_note", noteDemo);
onTab("Analytics", noteDemo);
onTab("Replay", noteDemo);
