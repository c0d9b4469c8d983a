// The API tab: the import form, the list of imports, and which of them is open. Its review is in review.js.

import { now } from "../shell/connection.js";
import { actionButton, chip, find, messageOf, node, showError } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { timeAgo } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";
import { discard, showReview } from "./review.js";

const POLL_MS = 400;
const HIDDEN = ["replaced", "removed"];
/** @type {Record<string, [string, string]>} */
const STATUS = {
  loading: ["Loading", "amber"], review: ["To review", "accent"], live: ["Enabled", "green"],
  failed: ["Failed", "red"], replaced: ["Replaced", ""], removed: ["Removed", ""],
};
/** @type {Record<string, string>} */
const STEPS = {
  waiting: "Waiting…", downloading: "Downloading…", reading: "Reading…", sorting: "Classifying operations…",
};

register("api", (element) => {
  const form = find(element, "form", HTMLFormElement);
  const file = find(element, "#ss-api-file", HTMLInputElement);
  const [url, mcp, token] = ["url", "mcp", "token"].map((name) => find(element, `#ss-api-${name}`, HTMLInputElement));
  const text = find(element, "#ss-api-text", HTMLTextAreaElement);
  const problem = find(element, ".ss-problem");
  const list = find(element, ".ss-api-jobs");
  const review = find(element, ".ss-api-review");
  /** @type {string | null} */
  let openId = null;
  let polling = 0;

  /** Reads the list again and opens `jobId`. @param {string | null} jobId */
  async function refresh(jobId = openId) {
    /** @type {Job[] | null} */
    const jobs = await request("GET", "/openapi/jobs").catch(() => null);
    if (!jobs) return;
    const job = jobs.find((one) => one.job_id === jobId);
    const isShown = openId === jobId && review.dataset.status === job?.status;
    openId = job ? job.job_id : null;
    showJobs(jobs.filter((one) => !HIDDEN.includes(one.status) || one === job));
    if (job && !isShown) await open(job);
    if (!job && jobId === null) close();
    clearTimeout(polling);
    if (jobs.some((one) => one.status === "loading")) polling = setTimeout(refresh, POLL_MS);
  }

  /** Shows the list. What has not changed stays: a new button loses a click that has begun. @param {Job[]} jobs */
  function showJobs(jobs) {
    const before = [...list.children];
    jobs.map(jobItem).forEach((item, index) => {
      const shown = before[index];
      if (!shown) { list.append(item); return; }
      if (shown.isEqualNode(item)) return;
      const hasFocus = shown.contains(document.activeElement);
      shown.replaceWith(item);
      if (hasFocus) item.querySelector("button")?.focus();
    });
    for (const gone of before.slice(jobs.length)) gone.remove();
  }

  /** @param {Job} job */
  function jobItem(job) {
    const isOut = job.status === "live" && (job.out_of_use ?? []).length > 0;
    const [status, color] = isOut ? ["Partly disabled", "red"] : STATUS[job.status] ?? [job.status, ""];
    const note = job.status === "loading" ? STEPS[job.progress.step] ?? "Loading…"
      : job.status === "failed" ? job.error : `${job.source} · ${timeAgo(Date.parse(job.created_at), now())}`;
    return node("li", { "data-job": job.job_id }, node("button",
      { type: "button", class: "ss-card", "aria-pressed": String(job.job_id === openId), onclick: () => refresh(job.job_id) },
      node("b", {}, job.title), chip(status, color), node("span", { class: "ss-muted" }, note)));
  }

  /** @param {Job} job */
  async function open(job) {
    review.dataset.status = job.status;
    if (job.status === "loading") {
      review.replaceChildren(node("div", { class: "ss-empty" }, node("strong", {}, "Reading the description"),
        "This runs in the background. You can keep working."));
    } else if (job.status === "failed") {
      review.replaceChildren(node("div", { class: "ss-empty", role: "alert" }, node("strong", {}, "Import failed"), job.error,
        node("div", { class: "ss-actions" }, actionButton("Discard", "", () => discard(job)))));
    } else {
      await showReview(review, job.job_id);
    }
  }

  function close() {
    review.dataset.status = "";
    review.replaceChildren(node("div", { class: "ss-empty" }, node("strong", {}, "No API selected"),
      "Import an API, or select one from the list."));
  }

  /** The import request: the file first, else the text, else the MCP server, else the URL. */
  function body() {
    const chosen = file.files?.[0];
    if (chosen) {
      const data = new FormData();
      data.set("file", chosen);
      return data;
    }
    if (text.value.trim()) return { spec: text.value };
    return mcp.value.trim() ? { mcp: mcp.value, token: token.value } : { url: url.value };
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    showError(problem, "");
    try {
      const job = await request("POST", "/openapi/import", body());
      form.reset();
      await refresh(job.job_id);
    } catch (error) {
      showError(problem, messageOf(error));
    }
  });
  acceptDrops(form, file);
  onTab("API", refresh);
  on("import_changed", refresh);
  on("me", (user) => { if (user.role !== "admin") form.hidden = true; });
});

/**
 * Imports a file that is dropped anywhere on the form.
 * @param {HTMLFormElement} form
 * @param {HTMLInputElement} file
 */
function acceptDrops(form, file) {
  /** @param {DragEvent} event @param {boolean} isOver */
  const highlight = (event, isOver) => {
    event.preventDefault();
    form.classList.toggle("ss-api-drop", isOver);
  };
  form.addEventListener("dragover", (event) => highlight(event, true));
  form.addEventListener("dragleave", (event) => highlight(event, false));
  form.addEventListener("drop", (event) => {
    highlight(event, false);
    if (!event.dataTransfer?.files.length) return;
    file.files = event.dataTransfer.files;
    form.requestSubmit();
  });
}
