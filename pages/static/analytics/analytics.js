// The Analytics tab: range and filters, and the metrics of the server's REST API for them.

import { find, messageOf, node, showError } from "../shell/dom.js";
import { emit, on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";
import { bars, charts, latestConversations, tables } from "./breakdowns.js";
import { metricCards } from "./cards.js";

const LATEST = "8";
const DAY_MS = 86_400_000;

register("analytics", (root) => {
  const section = find(root, "#ss-analytics");
  const form = find(root, "form", HTMLFormElement);
  const [content, problem] = [".ss-metrics-content", ".ss-problem"].map((selector) => find(root, selector));
  const dates = find(root, ".ss-dates");
  let latest = 0;
  /** @type {Promise<Record<string, string>> | null} */
  let definitions = null;

  async function load() {
    const { range, since, until, ...filters } = values();
    dates.hidden = range !== "custom";
    /** @type {Record<string, string>} */
    const period = range === "custom" ? customPeriod(since, until) : { range };
    if (!Object.keys(period).length) return;
    const version = ++latest;
    emit("analytics_range", { ...period, ...filters });
    section.setAttribute("aria-busy", "true");
    try {
      definitions ??= request("GET", "/analytics/definitions").catch((error) => { definitions = null; throw error; });
      /** @type {[Metrics, Record<string, string>]} */
      const [metrics, texts] = await Promise.all([
        request("GET", `/analytics?${new URLSearchParams({ ...period, compare: "true", ...filters })}`), definitions]);
      const query = new URLSearchParams({ limit: LATEST, since: metrics.since, until: metrics.until, ...filters });
      /** @type {Conversation[]} */
      const conversations = await request("GET", `/conversations?${query}`);
      // The range or the filters were changed in the meantime.
      if (version !== latest) return;
      showError(problem, "");
      const hasActivity = metrics.conversations > 0 || metrics.agents.some((agent) => agent.turns > 0);
      content.replaceChildren(...(hasActivity ? sections(metrics, conversations, texts) : [emptyState()]));
    } catch (error) {
      if (version !== latest) return;
      showError(problem, `Couldn't load the analytics: ${messageOf(error)}`, load);
      // What never came is not on its way any more.
      for (const card of content.querySelectorAll(".ss-loading-card")) card.remove();
    } finally {
      if (version === latest) section.removeAttribute("aria-busy");
    }
  }

  /** The chosen range and the filters that are set. @returns {{range: string, since?: string, until?: string} & Record<string, string>} */
  function values() {
    const entries = [...new FormData(form)].map(([name, value]) => [name, String(value)]).filter(([, value]) => value);
    return { range: "7d", ...Object.fromEntries(entries) };
  }

  async function offerTools() {
    /** @type {{name: string}[]} */
    const tools = await request("GET", "/tools").catch(() => []);
    const select = find(form, "[name=tool]", HTMLSelectElement);
    const chosen = select.value;
    select.replaceChildren(node("option", { value: "" }, "All tools"),
      ...tools.map(({ name }) => name).sort().map((name) => node("option", { value: name }, name)));
    select.value = tools.some(({ name }) => name === chosen) ? chosen : "";
  }

  find(form, "[name=agent]").append(...Object.entries(window.ssConfig?.agents ?? {})
    .map(([name, title]) => node("option", { value: name }, title)));
  form.addEventListener("change", load);
  form.addEventListener("submit", (event) => { event.preventDefault(); load(); });
  onTab("Analytics", () => { load(); offerTools(); });
  on("conversations_changed", load);
  load();
  offerTools();
});

/**
 * The days from `since` to `until`, both included, in UTC; empty while none is chosen.
 * @param {string | undefined} since
 * @param {string | undefined} until
 * @returns {Record<string, string>}
 */
function customPeriod(since, until) {
  const [from, to] = [since, until].sort();
  const [first, last] = since && until ? [from, to] : [since, until];
  return { ...(first ? { since: first } : {}), ...(last ? { until: new Date(Date.parse(last) + DAY_MS).toISOString().slice(0, 10) } : {}) };
}

/** @param {Metrics} metrics @param {Conversation[]} conversations @param {Record<string, string>} definitions */
function sections(metrics, conversations, definitions) {
  return [...metricCards(metrics, definitions), charts(metrics), bars(metrics, definitions), tables(metrics, definitions),
    latestConversations(conversations)].filter((section) => section !== null);
}

function emptyState() {
  return node("div", { class: "ss-card ss-empty" }, node("strong", {}, "No activity in this range"),
    node("span", {}, "Send a message in the Console tab, choose a longer range or fewer filters, or load demo data with ",
      node("code", {}, "make demo-data"), "."));
}
