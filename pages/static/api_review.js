// One import under review: its operations by agent, what is on, where it is, its credentials, and approving it.
// What one operation shows when it is opened is in api_operation.js.

import { tell } from "./shell.js";
import { node, words } from "./text.js";
import { asked, chip, putAside, refresh } from "./api_import.js";
import { showOperation } from "./api_operation.js";

const FIELDS = {
  apiKey: [["value", "Key"]], bearer: [["token", "Token"]],
  basic: [["username", "User name"], ["password", "Password"]],
  oauth2: [["client_id", "Client id"], ["client_secret", "Client secret"]],
};
const CHANGES = { new: ["new", "accent"], changed: ["changed", "amber"], gone: ["gone", "red"] };
const MANY = 60;
export const RISKS = { high: ["high risk", "red"], medium: ["medium risk", "amber"], low: ["low risk", ""] };

/** Fill `place` with the review of a job. */
export async function showReview(place, jobId) {
  const [job, operations] = await Promise.all([asked("GET", `/jobs/${jobId}`), asked("GET", `/jobs/${jobId}/operations`)]);
  const again = operations.some((one) => one.change !== "new");
  const review = { place, job, operations, again, selected: new Set(), open: job.status === "review" };
  review.list = node("div", { class: "ss-api-groups" });
  review.counts = node("p", { class: "ss-muted", role: "status" });
  review.filters = makeFilters(review);
  review.bulk = node("div", { class: "ss-api-bulk", hidden: true });
  review.problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  place.replaceChildren(...[makeHead(review), makeFindings(job), makePlace(review), ...makeCredentials(review),
    review.filters, review.bulk, review.problem, review.list].filter(Boolean));
  draw(review);
}

function makeHead(review) {
  const { job } = review;
  const button = (color, label, onclick) => node("button", { type: "button", class: `ss-button${color}`, onclick }, label);
  const acts = job.status === "live" ? [button(" ss-button--red", "Take out of use…", () => confirmRemove(review, acts[0]))] : [];
  if (job.status === "review") {
    if (job.can_be_worded) acts.push(button("", "Propose better words", (event) => word(review, event.target)));
    acts.push(button("", "Put aside", () => attempt(review, () => putAside(job))));
    const approve = button(" ss-button--green", "Approve…", () => confirmApprove(review, approve));
    approve.disabled = review.operations.length === 0;
    acts.push(approve);
  }
  review.confirm = node("div", {});
  return node("header", { class: "ss-card ss-api-head" },
    node("div", {}, node("h2", {}, job.title), node("p", { class: "ss-muted" },
      `${job.format} · version ${job.version || "not given"}`), review.counts),
    node("div", { class: "ss-actions" }, acts), review.confirm);
}

/** The configured language model proposes names, descriptions and groups; never another access. */
async function word(review, button) {
  button.disabled = true;
  button.textContent = "The model is thinking…";
  await attempt(review, async () => {
    const { changed } = await asked("POST", `/jobs/${review.job.job_id}/words`, {});
    await readAgain(review);
    button.textContent = `${changed.length} worded anew`;
  });
  if (!review.problem.hidden) button.textContent = "Propose better words";
  draw(review);
}

function makeFindings(job) {
  const warnings = job.warnings.map((message) => ({ severity: "warning", message, place: "agents file" }));
  const findings = [...warnings, ...job.findings];
  if (findings.length === 0) return null;
  const grave = findings.filter((one) => one.severity === "error").length;
  const open = warnings.length > 0 || findings[0].place === "/servers" || grave > 0;
  return node("details", { class: "ss-card ss-api-findings", open },
    node("summary", {}, `${findings.length} finding${findings.length === 1 ? "" : "s"}${grave ? `, ${grave} of them errors` : ""}`),
    node("ul", {}, findings.map((one) => node("li", {}, chip(one.severity, one.severity === "error" ? "red" : ""),
      " ", one.message, " ", node("code", {}, one.place)))));
}

function makePlace(review) {
  const { job } = review;
  if (job.kind === "mcp") return null;
  const servers = node("datalist", { id: "ss-api-servers" }, job.servers.map((server) => node("option", { value: server.url })));
  const input = node("input", { id: "ss-api-base", value: job.base_url ?? "", maxlength: "2000", list: "ss-api-servers",
    placeholder: job.servers[0]?.url ?? "https://api.example.com" });
  const variables = Object.entries(job.servers[0]?.variables ?? {}).map(([name, known]) => [name, node("input",
    { value: job.variables[name] ?? "", placeholder: known.default ?? "", "aria-label": `Variable ${name}` })]);
  const save = node("button", { type: "button", class: "ss-button", onclick: () => attempt(review, async () => {
    const given = variables.filter(([, field]) => field.value.trim()).map(([name, field]) => [name, field.value.trim()]);
    await asked("PUT", `/jobs/${job.job_id}/place`, { base_url: input.value.trim(), variables: Object.fromEntries(given) });
    await showReview(review.place, job.job_id);
  }) }, "Save");
  return node("div", { class: "ss-card ss-api-row" }, node("label", { for: "ss-api-base" }, "Base URL"), input, servers,
    variables.map(([name, field]) => [node("label", {}, name), field]), save);
}

function makeCredentials(review) {
  const { job } = review;
  return job.schemes.filter((scheme) => FIELDS[scheme.kind]).map((scheme) => {
    const fields = FIELDS[scheme.kind].map(([name, label]) => [name, node("input",
      { type: "password", autocomplete: "off", "aria-label": `${label} of ${scheme.name}`, placeholder: label })]);
    const state = chip(job.credentials.includes(scheme.name) ? "entered" : "not entered",
      job.credentials.includes(scheme.name) ? "green" : "amber");
    const save = node("button", { type: "button", class: "ss-button", onclick: () => attempt(review, async () => {
      const values = Object.fromEntries(fields.map(([name, field]) => [name, field.value]));
      job.credentials = (await asked("PUT", `/jobs/${job.job_id}/credentials`, { scheme: scheme.name, values })).credentials;
      for (const [, field] of fields) field.value = "";
      state.replaceWith(chip("entered", "green"));
    }) }, "Keep");
    return node("div", { class: "ss-card ss-api-row" }, node("span", {}, `Credentials: ${scheme.name}`), state,
      fields.map(([, field]) => field), save,
      node("span", { class: "ss-muted" }, "Kept encrypted; never shown again."));
  });
}

function makeFilters(review) {
  const again = () => draw(review);
  const search = node("input", { type: "search", name: "q", placeholder: "Search operations", "aria-label": "Search operations", oninput: again });
  const select = (name, label, options) => node("select", { name, "aria-label": label, onchange: again },
    options.map(([value, text]) => node("option", { value }, text)));
  return node("form", { class: "ss-api-filters", role: "search", onsubmit: (event) => event.preventDefault() }, search,
    select("access", "Access", [["", "Reads and writes"], ["read", "Reads"], ["write", "Writes"], ["proposed", "Proposed reads"]]),
    select("on", "On or off", [["", "On and off"], ["on", "On"], ["off", "Off"]]),
    select("change", "Change", [["", "All"], ["new", "New"], ["changed", "Changed"], ["gone", "Gone"]]));
}

function matches(review, one) {
  const wanted = Object.fromEntries(new FormData(review.filters));
  const text = `${one.method} ${one.path} ${one.tool_name} ${one.description} ${one.agent}`.toLowerCase();
  return text.includes(wanted.q.trim().toLowerCase())
    && (!wanted.access || (wanted.access === "proposed" ? one.read_proposed : one.access === wanted.access))
    && (!wanted.on || one.enabled === (wanted.on === "on"))
    && (!wanted.change || one.change === wanted.change);
}

/** Draw the list anew; rows that are open stay open, as they are the same nodes. */
export function draw(review) {
  const shown = review.operations.filter((one) => matches(review, one));
  const groups = Map.groupBy(shown, (one) => one.agent);
  review.list.replaceChildren(...[...groups].sort().map((group) => makeGroup(review, ...group)));
  if (shown.length === 0) review.list.replaceChildren(node("div", { class: "ss-empty" },
    review.operations.length ? "No operation fits these filters." : "Nothing in this description can be called; the findings say why."));
  const on = review.operations.filter((one) => one.enabled && one.change !== "gone");
  review.counts.textContent = `${review.operations.length} operations, ${on.length} on: `
    + `${on.filter((one) => !one.needs_approval).length} run, ${on.filter((one) => one.needs_approval).length} ask first. `
    + `About ${on.reduce((sum, one) => sum + one.tokens, 0).toLocaleString()} tokens in all.`;
  drawBulk(review, shown);
}

/** One agent's operations; of a large import only what was opened or searched for is unfolded. */
function makeGroup(review, agent, found) {
  review.folded ??= new Map();
  const open = review.folded.get(agent) ?? (review.operations.length <= MANY || new FormData(review.filters).get("q") !== "");
  const on = found.filter((one) => one.enabled && one.change !== "gone");
  const group = node("details", { class: "ss-card", open },
    node("summary", {}, node("h3", {}, words(agent)), chip(`${on.length} of ${found.length} on`),
      node("span", { class: "ss-muted" }, `about ${on.reduce((sum, one) => sum + one.tokens, 0).toLocaleString()} tokens`)),
    node("ul", {}, found.map((one) => { one.row ??= node("li", {}); drawRow(review, one); return one.row; })));
  group.querySelector("summary").addEventListener("click", () => review.folded.set(agent, !group.open));
  return group;
}

export function drawRow(review, one) {
  const gone = one.change === "gone";
  const on = node("input", { type: "checkbox", role: "switch", "aria-label": `${one.tool_name} on`,
    disabled: gone || !review.open, onchange: () => change(review, [one], { enabled: on.checked }) });
  on.checked = one.enabled && !gone;
  const select = node("input", { type: "checkbox", "aria-label": `Select ${one.tool_name}`, disabled: gone || !review.open,
    onchange: () => { review.selected[select.checked ? "add" : "delete"](one.key); draw(review); } });
  select.checked = review.selected.has(one.key);
  const [risk, color] = RISKS[one.risk] ?? [one.risk, ""];
  const open = node("button", { type: "button", class: "ss-link", "aria-expanded": String(Boolean(one.details)),
    onclick: () => { one.details = one.details ? null : showOperation(review, one); drawRow(review, one); } }, one.tool_name);
  const changed = review.again ? CHANGES[one.change] : null;
  one.row.replaceChildren(node("div", { class: "ss-api-line" }, select, on,
    node("div", { class: "ss-api-named" }, open, node("span", { class: "ss-muted" }, one.description),
      node("code", {}, one.method ? `${one.method} ${one.path}` : "no longer there")),
    node("div", { class: "ss-api-chips" },
    one.access === "read" ? chip("read", "teal") : chip("write", "amber"),
    one.read_proposed && one.access === "write" ? chip("looks like a read", "accent") : null,
    one.risk === "high" ? chip(risk, color) : null, one.needs_approval ? chip("asks") : null,
    changed ? chip(...changed) : null,
    node("span", { class: "ss-muted" }, `${one.tokens} tokens`))), one.details ?? "");
}

function drawBulk(review, shown) {
  const keys = review.operations.filter((one) => review.selected.has(one.key));
  review.bulk.hidden = !review.open || shown.length === 0;
  const agent = node("input", { placeholder: "agent", "aria-label": "Agent for the selected", maxlength: "63" });
  const act = (label, wanted) => node("button", { type: "button", class: "ss-button", disabled: keys.length === 0,
    onclick: () => change(review, keys, wanted()) }, label);
  review.bulk.replaceChildren(
    node("button", { type: "button", class: "ss-link", onclick: () => {
      const all = shown.every((one) => review.selected.has(one.key));
      for (const one of shown) if (one.change !== "gone") review.selected[all ? "delete" : "add"](one.key);
      draw(review);
    } }, `Select all ${shown.length} shown`),
    node("span", { class: "ss-muted" }, `${keys.length} selected`),
    act("On", () => ({ enabled: true })), act("Off", () => ({ enabled: false })),
    act("Always ask", () => ({ needs_approval: true })), act("They only read", () => ({ access: "read" })), agent, act("Move", () => ({ agent: agent.value.trim() })));
}

/** Change operations at the server, then here; what was refused is told and nothing is changed. */
export async function change(review, operations, wanted) {
  await attempt(review, async () => {
    await asked("PATCH", `/jobs/${review.job.job_id}/operations`, { keys: operations.map((one) => one.key), changes: wanted });
    await readAgain(review);
  });
  draw(review);
}

async function readAgain(review) {
  const fresh = new Map((await asked("GET", `/jobs/${review.job.job_id}/operations`)).map((one) => [one.key, one]));
  for (const one of review.operations) Object.assign(one, fresh.get(one.key));
}

async function attempt(review, work) {
  review.problem.hidden = true;
  try {
    await work();
  } catch (error) {
    review.problem.textContent = error.message;
    review.problem.hidden = false;
    review.problem.scrollIntoView({ block: "nearest" });
  }
}

function confirmApprove(review, button) {
  const on = review.operations.filter((one) => one.enabled && one.change !== "gone");
  const asks = on.filter((one) => one.needs_approval);
  const gone = review.operations.filter((one) => one.change === "gone").length;
  const told = `${on.length} operations become tools at once: ${on.length - asks.length} run by themselves, ${asks.length} `
    + `ask a colleague each time.${gone ? ` ${gone} that are gone from the description stop working.` : ""}`;
  const { kind, schemes, credentials } = review.job;
  const bare = kind !== "mcp" && schemes.length > 0 && credentials.length === 0
    ? " No credentials are entered yet: calls that need them fail until they are." : "";
  confirm(review, button, told + bare, "Approve", "green", "approve");
}

function confirmRemove(review, button) {
  confirm(review, button, "Its tools stop working at once; what was asked with them can't be carried out any more.",
    "Take out of use", "red", "remove");
}

function confirm(review, button, told, label, color, route) {
  const yes = node("button", { type: "button", class: `ss-button ss-button--${color}`, onclick: () => attempt(review, async () => {
    await asked("POST", `/jobs/${review.job.job_id}/${route}`);
    tell("tools_changed");
    await refresh(review.job.job_id);
  }) }, label);
  review.confirm.replaceChildren(node("p", {}, told), node("div", { class: "ss-actions" }, yes,
    node("button", { type: "button", class: "ss-button", onclick: () => { review.confirm.replaceChildren(); button.focus(); } }, "Cancel")));
  yes.focus();
}
