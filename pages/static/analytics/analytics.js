// The Analytics tab: range and filters, and the metrics of the server's REST API for them.

import { find, messageOf, node, showError } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { request, ROOT } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";
import { bars, charts, latestConversations, tables } from "./breakdowns.js";
import { metricCards } from "./cards.js";

const LATEST = "8";

register("analytics", (root) => {
  const section = find(root, "#ss-analytics");
  const form = find(root, "form", HTMLFormElement);
  const [content, problem] = [".ss-metrics-content", ".ss-problem"].map((selector) => find(root, selector));
  const [csv, parquet] = [".ss-export-csv", ".ss-export-parquet"].map((selector) => find(root, selector, HTMLAnchorElement));
  let latest = 0;
  /** @type {Promise<Record<string, string>> | null} */
  let definitions = null;

  async function load() {
    const version = ++latest;
    const { range, ...filters } = values();
    csv.href = exportLink({ range, format: "csv", ...filters });
    parquet.href = exportLink({ range, format: "parquet", ...filters });
    section.setAttribute("aria-busy", "true");
    try {
      definitions ??= request("GET", "/analytics/definitions").catch((error) => { definitions = null; throw error; });
      /** @type {[Metrics, Record<string, string>]} */
      const [metrics, texts] = await Promise.all([
        request("GET", `/analytics?${new URLSearchParams({ range, compare: "true", ...filters })}`), definitions]);
      const query = new URLSearchParams({ limit: LATEST, since: metrics.since, ...filters });
      /** @type {Conversation[]} */
      const conversations = await request("GET", `/conversations?${query}`);
      // The range or the filters were changed in the meantime.
      if (version !== latest) return;
      showError(problem, "");
      const hasActivity = metrics.conversations > 0 || metrics.agents.some((agent) => agent.turns > 0);
      content.replaceChildren(...(hasActivity ? sections(metrics, conversations, texts) : [emptyState()]));
    } catch (error) {
      if (version === latest) showError(problem, `Couldn't load the analytics: ${messageOf(error)}`);
    } finally {
      if (version === latest) section.removeAttribute("aria-busy");
    }
  }

  /** The chosen range and the filters that are set. @returns {{range: string} & Record<string, string>} */
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

/** @param {Record<string, string>} params */
const exportLink = (params) => `${ROOT}/api/v1/analytics/export?${new URLSearchParams(params)}`;

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
