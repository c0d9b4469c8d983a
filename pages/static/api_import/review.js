// The review of one import: its operations by agent, base URL, credentials, and approval. Details of an operation
// are in operation.js.

import { actionButton, chip, linkButton, messageOf, node, showError } from "../shell/dom.js";
import { emit } from "../shell/events.js";
import { humanize, plural } from "../shell/format.js";
import { request, RequestError } from "../shell/rest.js";
import { operationDetails } from "./operation.js";

/** @type {Record<string, [string, string][]>} */
const CREDENTIALS = {
  apiKey: [["value", "Key"]], bearer: [["token", "Token"]],
  basic: [["username", "User name"], ["password", "Password"]],
  oauth2: [["client_id", "Client ID"], ["client_secret", "Client secret"]],
};
/** @type {Record<string, [string, string]>} */
const CHANGES = { new: ["New", "accent"], changed: ["Changed", "amber"], gone: ["Removed", "red"] };
// Groups of a larger import are folded.
const MAX_UNFOLDED = 60;

/** Removes an import from the list. @param {Job} job */
export async function discard(job) {
  await request("POST", `/openapi/jobs/${job.job_id}/remove`);
  emit("import_changed", null);
}

/**
 * Fills `place` with the review of an import.
 * @param {HTMLElement} place
 * @param {string} jobId
 */
export async function showReview(place, jobId) {
  const path = `/openapi/jobs/${jobId}`;
  const [job, operations] = await Promise.all([request("GET", path), request("GET", `${path}/operations`)]);
  new Review(place, job, operations).show();
}

/** @param {Operation[]} operations */
const enabled = (operations) => operations.filter((one) => one.enabled && one.change !== "gone");

/** @param {Operation[]} operations */
const tokens = (operations) => operations.reduce((sum, one) => sum + one.tokens, 0).toLocaleString("en");

/**
 * The operations that stand in the way of a change, and a button that leaves them out.
 * @param {BlockedOperation[]} blocked
 * @param {() => Promise<void>} leaveOut
 */
const blockedList = (blocked, leaveOut) => node("div", { class: "ss-api-blocked" },
  node("details", {}, node("summary", {}, `Show ${plural(blocked.length, "operation")}`),
    node("ul", {}, blocked.map((one) => node("li", {}, node("b", {}, one.tool_name), " ", one.message)))),
  actionButton(`Continue without ${blocked.length === 1 ? "it" : `these ${blocked.length}`}`, "", leaveOut));

/** What is shown of one import, and the requests that change it. */
class Review {
  #place;
  #path;
  #rows = /** @type {Map<string, HTMLElement>} */ (new Map());
  #details = /** @type {Map<string, HTMLElement>} */ (new Map());
  #selected = /** @type {Set<string>} */ (new Set());
  #folded = /** @type {Map<string, boolean>} */ (new Map());
  #list = node("div", { class: "ss-api-groups" });
  #counts = node("p", { class: "ss-muted", role: "status" });
  #bulk = node("div", { class: "ss-api-bulk", hidden: true });
  #problem = node("p", { class: "ss-problem", role: "alert", hidden: true });
  #confirmation = node("div");
  #filters = this.#makeFilters();

  /**
   * @param {HTMLElement} place
   * @param {Job} job
   * @param {Operation[]} operations
   */
  constructor(place, job, operations) {
    this.#place = place;
    this.#path = `/openapi/jobs/${job.job_id}`;
    this.job = job;
    this.operations = operations;
    this.isEditable = job.status === "review";
    this.isSwitchable = this.isEditable || job.status === "live";
    this.isReimport = operations.some((one) => one.change !== "new");
  }

  show() {
    this.#place.replaceChildren(...[this.#head(), this.#findings(), this.#baseUrl(), this.#hosts(), ...this.#credentials(),
      this.#filters, this.#bulk, this.#problem, this.#list].filter((part) => part !== null));
    this.draw();
  }

  /** Draws the list again. Rows and open details keep their nodes, and what is typed into them. */
  draw() {
    const shown = this.operations.filter((one) => this.#matches(one));
    const groups = [...Map.groupBy(shown, (one) => one.agent)].sort();
    this.#list.replaceChildren(...groups.map(([agent, operations]) => this.#group(agent, operations)));
    if (shown.length === 0) this.#list.replaceChildren(node("div", { class: "ss-empty" }, this.operations.length
      ? "No operations match these filters." : "This description has no operation that can be called. See the findings."));
    const active = enabled(this.operations);
    const gated = active.filter((one) => one.needs_approval).length;
    this.#counts.textContent = `${plural(this.operations.length, "operation")}, ${active.length} enabled: `
      + `${active.length - gated} automatic, ${gated} need approval. About ${tokens(active)} tokens in total.`;
    this.#drawBulk(shown);
  }

  /**
   * Changes operations on the server, then here. A refused change changes nothing and shows why.
   * @param {Operation[]} operations
   * @param {object} changes
   * @param {boolean} leaveOut changes the others if some can't be changed
   */
  async change(operations, changes, leaveOut = false) {
    await this.#attempt(async () => {
      await request("PATCH", `${this.#path}/operations`, { keys: operations.map((one) => one.key), changes, leave_out: leaveOut });
      await this.#reload();
    }, operations.length > 1 ? () => this.change(operations, changes, true) : undefined);
    this.draw();
  }

  /** Shows an operation's details again after they were saved. @param {Operation} one */
  refreshDetails(one) {
    this.#details.set(one.key, operationDetails(this, one));
    this.#drawRow(one);
  }

  /**
   * Calls a read with arguments and returns its result.
   * @param {Operation} one
   * @param {object} args
   */
  async call(one, args) {
    return (await request("POST", `${this.#path}/try/${encodeURIComponent(one.key)}`, { args })).result;
  }

  async #reload() {
    /** @type {Operation[]} */
    const fresh = await request("GET", `${this.#path}/operations`);
    const byKey = new Map(fresh.map((one) => [one.key, one]));
    for (const one of this.operations) Object.assign(one, byKey.get(one.key));
  }

  /**
   * @param {() => Promise<void>} work
   * @param {(blocked: BlockedOperation[]) => Promise<void>} [leaveOut] offered where operations stand in the way
   */
  async #attempt(work, leaveOut) {
    showError(this.#problem, "");
    try {
      await work();
    } catch (error) {
      showError(this.#problem, messageOf(error));
      const blocked = error instanceof RequestError ? error.fields.blocked ?? [] : [];
      if (leaveOut && blocked.length > 0) this.#problem.append(blockedList(blocked, () => leaveOut(blocked)));
      this.#problem.scrollIntoView({ block: "nearest" });
    }
  }

  #head() {
    const { job } = this;
    const actions = [];
    if (job.status === "live") {
      const disable = actionButton("Disable…", "red", () => this.#confirmDisable(disable));
      actions.push(disable);
    }
    if (job.status === "review") {
      if (job.can_be_worded) {
        const suggest = actionButton("Suggest better descriptions", "", () => this.#suggestDescriptions(suggest));
        actions.push(suggest);
      }
      const approve = actionButton("Approve…", "green", () => this.#confirmApprove(approve));
      approve.disabled = this.operations.length === 0;
      actions.push(actionButton("Discard", "", () => this.#attempt(() => discard(job))), approve);
    }
    return node("header", { class: "ss-card ss-api-head" },
      node("div", {}, node("h2", {}, job.title),
        node("p", { class: "ss-muted" }, `${job.format} · ${job.version ? `version ${job.version}` : "no version"}`), this.#counts),
      node("div", { class: "ss-actions" }, actions), this.#confirmation);
  }

  /** Lets the configured model suggest names, descriptions and groups; it never changes access. @param {HTMLButtonElement} button */
  async #suggestDescriptions(button) {
    const label = button.textContent;
    button.disabled = true;
    button.textContent = "Waiting for the model…";
    await this.#attempt(async () => {
      const { changed } = await request("POST", `${this.#path}/words`, {});
      await this.#reload();
      button.textContent = `${plural(changed.length, "operation")} updated`;
    });
    if (!this.#problem.hidden) button.textContent = label;
    this.draw();
  }

  #findings() {
    const warnings = this.job.warnings.map((message) => ({ severity: "warning", message, place: "agents file" }));
    const findings = [...warnings, ...this.job.findings];
    if (findings.length === 0) return null;
    const errors = findings.filter((one) => one.severity === "error").length;
    const open = warnings.length > 0 || findings[0].place === "/servers" || errors > 0;
    return node("details", { class: "ss-card ss-api-findings", open },
      node("summary", {}, `${plural(findings.length, "finding")}${errors ? ` (${plural(errors, "error")})` : ""}`),
      node("ul", {}, findings.map((one) => node("li", {}, chip(one.severity, one.severity === "error" ? "red" : ""),
        " ", one.message, " ", node("code", {}, one.place)))));
  }

  #baseUrl() {
    const { job } = this;
    if (job.kind === "mcp") return null;
    const servers = node("datalist", { id: "ss-api-servers" }, job.servers.map((server) => node("option", { value: server.url })));
    const input = node("input", { id: "ss-api-base", value: job.base_url ?? "", maxlength: "2000", list: "ss-api-servers",
      placeholder: job.servers[0]?.url ?? "https://api.example.com" });
    /** @type {[string, HTMLInputElement][]} */
    const variables = Object.entries(job.servers[0]?.variables ?? {}).map(([name, variable]) => [name, node("input",
      { value: job.variables[name] ?? "", placeholder: variable.default ?? "", "aria-label": `Server variable ${name}` })]);
    const save = actionButton("Save", "", () => this.#attempt(async () => {
      const filled = variables.filter(([, field]) => field.value.trim()).map(([name, field]) => [name, field.value.trim()]);
      await request("PUT", `${this.#path}/place`, { base_url: input.value.trim(), variables: Object.fromEntries(filled) });
      await showReview(this.#place, job.job_id);
    }));
    return node("div", { class: "ss-card ss-api-row" }, node("label", { for: "ss-api-base" }, "Base URL"), input, servers,
      variables.map(([name, field]) => [node("label", {}, name), field]), save);
  }

  /** The hosts that are called beside the API's own, each allowed on its own. */
  #hosts() {
    const { job } = this;
    if (!job.hosts?.some((host) => !host.is_own)) return null;
    return node("div", { class: "ss-card ss-api-hosts" }, node("h3", {}, "Hosts"),
      node("p", { class: "ss-muted" }, "Calls go only to allowed hosts. Each gets only the credentials listed with it."),
      node("ul", {}, job.hosts.map((host) => this.#host(host))));
  }

  /** @param {Host} host */
  #host(host) {
    const isUsed = [
      host.operations.length ? plural(host.operations.length, "operation") : "",
      host.schemes.length ? `gets credentials: ${host.schemes.join(", ")}` : "",
      host.token_schemes.length ? `login for ${host.token_schemes.join(", ")}: gets the client secret` : "",
    ].filter(Boolean).join(" · ");
    const allow = node("input", { type: "checkbox", role: "switch", "aria-label": `Allow ${host.origin}`,
      disabled: host.is_own || !this.isSwitchable,
      onchange: () => this.#attempt(async () => {
        await request("PUT", `${this.#path}/hosts`, { origin: host.origin, allowed: allow.checked });
        await showReview(this.#place, this.job.job_id);
      }) });
    allow.checked = host.is_allowed;
    return node("li", {}, allow, node("code", {}, host.origin),
      chip(host.is_own ? "API" : host.is_allowed ? "Allowed" : "Not allowed", host.is_allowed ? "green" : "amber"),
      node("span", { class: "ss-muted", title: host.operations.join("\n") }, isUsed || "No operations"));
  }

  #credentials() {
    const { job } = this;
    return job.schemes.filter((scheme) => CREDENTIALS[scheme.kind]).map((scheme) => {
      /** @type {[string, HTMLInputElement][]} */
      const fields = CREDENTIALS[scheme.kind].map(([name, label]) => [name, node("input",
        { type: "password", autocomplete: "off", "aria-label": `${label} of ${scheme.name}`, placeholder: label })]);
      const isSet = job.credentials.includes(scheme.name);
      const state = chip(isSet ? "Saved" : "Not set", isSet ? "green" : "amber");
      const save = actionButton("Save credentials", "", () => this.#attempt(async () => {
        const values = Object.fromEntries(fields.map(([name, field]) => [name, field.value]));
        job.credentials = (await request("PUT", `${this.#path}/credentials`, { scheme: scheme.name, values })).credentials;
        for (const [, field] of fields) field.value = "";
        state.replaceWith(chip("Saved", "green"));
      }));
      return node("div", { class: "ss-card ss-api-row" }, node("span", {}, `Credentials: ${scheme.name}`), state,
        fields.map(([, field]) => field), save,
        node("span", { class: "ss-muted" }, "Stored encrypted and never shown again."));
    });
  }

  #makeFilters() {
    const draw = () => this.draw();
    const search = node("input", { type: "search", name: "q", placeholder: "Search operations",
      "aria-label": "Search operations", oninput: draw });
    /** @param {string} name @param {string} label @param {[string, string][]} options */
    const select = (name, label, options) => node("select", { name, "aria-label": label, onchange: draw },
      options.map(([value, text]) => node("option", { value }, text)));
    return node("form", { class: "ss-api-filters", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
      search,
      select("access", "Access", [["", "All access"], ["read", "Read"], ["write", "Write"], ["proposed", "Possibly read-only"]]),
      select("on", "Enabled", [["", "All states"], ["on", "Enabled"], ["off", "Disabled"]]),
      select("change", "Change", [["", "All changes"], ["new", "New"], ["changed", "Changed"], ["gone", "Removed"]]));
  }

  /** @param {string} name */
  #filter(name) {
    return String(new FormData(this.#filters).get(name) ?? "");
  }

  /** @param {Operation} one */
  #matches(one) {
    const [q, access, on, change] = ["q", "access", "on", "change"].map((name) => this.#filter(name));
    const text = `${one.method} ${one.path} ${one.tool_name} ${one.description} ${one.agent}`.toLowerCase();
    return text.includes(q.trim().toLowerCase())
      && (!access || (access === "proposed" ? one.read_proposed : one.access === access))
      && (!on || one.enabled === (on === "on"))
      && (!change || one.change === change);
  }

  /**
   * One agent's operations.
   * @param {string} agent
   * @param {Operation[]} operations
   */
  #group(agent, operations) {
    const open = this.#folded.get(agent) ?? (this.operations.length <= MAX_UNFOLDED || this.#filter("q") !== "");
    const active = enabled(operations);
    const summary = node("summary", { onclick: () => this.#folded.set(agent, !group.open) },
      node("h3", {}, humanize(agent)), chip(`${active.length} of ${operations.length} enabled`),
      node("span", { class: "ss-muted" }, `about ${tokens(active)} tokens`));
    const group = node("details", { class: "ss-card", open }, summary,
      node("ul", {}, operations.map((one) => this.#drawRow(one))));
    return group;
  }

  /** @param {Operation} one */
  #drawRow(one) {
    const row = this.#rows.get(one.key) ?? node("li");
    this.#rows.set(one.key, row);
    const isGone = one.change === "gone";
    const disabled = isGone || !this.isSwitchable;
    const toggle = node("input", { type: "checkbox", role: "switch", "aria-label": `Enable ${one.tool_name}`, disabled,
      onchange: () => this.change([one], { enabled: toggle.checked }) });
    toggle.checked = one.enabled && !isGone;
    const select = node("input", { type: "checkbox", "aria-label": `Select ${one.tool_name}`, disabled,
      onchange: () => { this.#selected[select.checked ? "add" : "delete"](one.key); this.draw(); } });
    select.checked = this.#selected.has(one.key);
    const details = this.#details.get(one.key) ?? null;
    const name = linkButton(one.tool_name, () => {
      if (details) this.#details.delete(one.key);
      else this.#details.set(one.key, operationDetails(this, one));
      this.#drawRow(one);
    });
    name.setAttribute("aria-expanded", String(Boolean(details)));
    const change = this.isReimport ? CHANGES[one.change] : null;
    row.replaceChildren(node("div", { class: "ss-api-line" }, select, toggle,
      node("div", { class: "ss-api-named" }, name, node("span", { class: "ss-muted" }, one.description),
        node("code", {}, one.method ? `${one.method} ${one.path}` : "No longer in the description")),
      node("div", { class: "ss-api-chips" },
        one.access === "read" ? chip("Read", "teal") : chip("Write", "amber"),
        one.read_proposed && one.access === "write" ? chip("Possibly read-only", "accent") : null,
        one.risk === "high" ? chip("High risk", "red") : null,
        one.needs_approval ? chip("Needs approval") : null,
        change ? chip(...change) : null,
        node("span", { class: "ss-muted" }, `${one.tokens} tokens`))), ...(details ? [details] : []));
    return row;
  }

  /** @param {Operation[]} shown */
  #drawBulk(shown) {
    const selected = this.operations.filter((one) => this.#selected.has(one.key));
    this.#bulk.hidden = !this.isSwitchable || shown.length === 0;
    const agent = node("input", { placeholder: "Agent", "aria-label": "Agent for the selected operations", maxlength: "64" });
    /** @param {string} label @param {() => object} changes */
    const action = (label, changes) => {
      const button = actionButton(label, "", () => this.change(selected, changes()));
      button.disabled = selected.length === 0;
      return button;
    };
    this.#bulk.replaceChildren(
      linkButton(`Select all ${shown.length} shown`, () => {
        const isAll = shown.every((one) => this.#selected.has(one.key));
        for (const one of shown) if (one.change !== "gone") this.#selected[isAll ? "delete" : "add"](one.key);
        this.draw();
      }),
      node("span", { class: "ss-muted" }, `${selected.length} selected`),
      action("Enable", () => ({ enabled: true })), action("Disable", () => ({ enabled: false })),
      action("Confirm customers", () => ({ customer: { source: "proposed" } })),
      ...(this.isEditable ? [
        action("Require approval", () => ({ needs_approval: true })), action("Mark read-only", () => ({ access: "read" })),
        agent, action("Move", () => ({ agent: agent.value.trim() })),
      ] : []));
  }

  /** @param {HTMLButtonElement} button */
  #confirmApprove(button) {
    const active = enabled(this.operations);
    const gated = active.filter((one) => one.needs_approval).length;
    const gone = this.operations.filter((one) => one.change === "gone").length;
    const { kind, schemes, credentials } = this.job;
    const lines = [`${plural(active.length, "operation")} will be available as tools: ${active.length - gated} automatic, ${gated} need approval.`];
    if (gone) lines.push(`${plural(gone, "operation")} that the API no longer has will stop working.`);
    if (kind !== "mcp" && schemes.length > 0 && credentials.length === 0) {
      lines.push("No credentials are saved. Calls that need them will fail.");
    }
    const refused = (this.job.hosts ?? []).filter((host) => !host.is_allowed);
    if (refused.length) lines.push(`${plural(refused.length, "host")} not allowed: ${refused.map((host) => host.origin).join(", ")}. Operations there stay disabled.`);
    this.#confirm(button, lines.join(" "), "Approve", "green", "approve");
  }

  /** @param {HTMLButtonElement} button */
  #confirmDisable(button) {
    this.#confirm(button, "Its tools stop working now. Pending approvals for them can no longer run.", "Disable", "red", "remove");
  }

  /**
   * @param {HTMLButtonElement} button gets the focus back on cancel
   * @param {string} question
   * @param {string} label
   * @param {string} kind
   * @param {"approve" | "remove"} route
   */
  #confirm(button, question, label, kind, route) {
    const run = async () => {
      await request("POST", `${this.#path}/${route}`);
      emit("import_changed", this.job.job_id);
    };
    const yes = actionButton(label, kind, () => this.#attempt(run, route === "approve" ? async (blocked) => {
      await this.change(this.operations.filter((one) => blocked.some((each) => each.key === one.key)), { enabled: false });
      await this.#attempt(run);
    } : undefined));
    const cancel = actionButton("Cancel", "", () => { this.#confirmation.replaceChildren(); button.focus(); });
    this.#confirmation.replaceChildren(node("p", {}, question), node("div", { class: "ss-actions" }, yes, cancel));
    yes.focus();
  }
}
