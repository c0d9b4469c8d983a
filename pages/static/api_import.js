// The API tab: imports at the side, and which of them is open. How one is reviewed is in api_review.js.

import { now, on, onTab, register } from "./shell.js";
import { ago, node } from "./text.js";
import { asked as rest } from "./rest.js";
import { showReview } from "./api_review.js";

const POLL_MS = 400;
const STATUS = {
  loading: ["loading", "amber"], review: ["to review", "accent"], live: ["in use", "green"],
  failed: ["failed", "red"], replaced: ["replaced", ""], removed: ["removed", ""],
};
const STEPS = { waiting: "Waiting…", downloading: "Downloading…", reading: "Reading…", sorting: "Judging operations…" };
const part = {};
let chosen = null;
let polling = null;

export const chip = (text, color) => node("span", { class: `ss-chip${color ? ` ss-chip--${color}` : ""}` }, text);

/** One request about imports. */
export const asked = (method, path, body) => rest(method, `/openapi${path}`, body);

/** Read the list again; open `jobId` where it is given. */
export async function refresh(jobId = chosen) {
  const jobs = await asked("GET", "/jobs").catch(() => null);
  if (!jobs) return;
  const open = jobs.find((job) => job.job_id === jobId);
  const known = chosen === jobId && part.review.dataset.status === open?.status;
  chosen = open ? jobId : null;
  const shown = jobs.filter((job) => !["replaced", "removed"].includes(job.status) || job === open);
  part.jobs.replaceChildren(...shown.map(makeJob));
  if (open && !known) await show(open);
  clearTimeout(polling);
  if (jobs.some((job) => job.status === "loading")) polling = setTimeout(() => refresh(), POLL_MS);
}

function makeJob(job) {
  const [status, color] = STATUS[job.status] ?? [job.status, ""];
  const said = job.status === "loading" ? STEPS[job.progress.step] ?? "Loading…"
    : job.status === "failed" ? job.error : `${job.source} · ${ago(Date.parse(job.created_at), now())}`;
  return node("li", {}, node("button",
    { type: "button", class: "ss-card", "aria-pressed": String(job.job_id === chosen), onclick: () => refresh(job.job_id) },
    node("b", {}, job.title), chip(status, color), node("span", { class: "ss-muted" }, said)));
}

async function show(job) {
  part.review.dataset.status = job.status;
  if (job.status === "loading") {
    part.review.replaceChildren(node("div", { class: "ss-empty" }, node("strong", {}, "Reading the description"),
      "This goes on in the background; the chat works meanwhile."));
  } else if (job.status === "failed") {
    const aside = node("button", { type: "button", class: "ss-button", onclick: () => putAside(job) }, "Put aside");
    part.review.replaceChildren(node("div", { class: "ss-empty", role: "alert" },
      node("strong", {}, "This could not be imported"), job.error, node("div", { class: "ss-actions" }, aside)));
  } else {
    await showReview(part.review, job.job_id);
  }
}

/** Take an import off the list. */
export async function putAside(job) {
  await asked("POST", `/jobs/${job.job_id}/remove`);
  part.review.dataset.status = "";
  part.review.replaceChildren(node("div", { class: "ss-empty" }, node("strong", {}, "No API is open"),
    "Import one, or choose one of those on the side."));
  await refresh(null);
}

/** What the form holds, as the server takes it. */
function given() {
  const { url, file, text, mcp, token } = part;
  if (file.files[0]) {
    const form = new FormData();
    form.set("file", file.files[0]);
    return form;
  }
  if (text.value.trim()) return { spec: text.value };
  return mcp.value.trim() ? { mcp: mcp.value, token: token.value } : { url: url.value };
}

/** A file dropped anywhere on the form is the one to import. */
function takeDrops(form, file) {
  const over = (on) => (event) => { event.preventDefault(); form.classList.toggle("ss-api-drop", on); };
  form.addEventListener("dragover", over(true));
  form.addEventListener("dragleave", over(false));
  form.addEventListener("drop", (event) => {
    over(false)(event);
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    form.requestSubmit();
  });
}

async function begin(event) {
  event.preventDefault();
  part.problem.hidden = true;
  try {
    const body = given();
    const job = await asked("POST", "/import", body);
    part.form.reset();
    await refresh(job.job_id);
  } catch (error) {
    part.problem.textContent = error.message;
    part.problem.hidden = false;
  }
}

register("api", (element) => {
  Object.assign(part, {
    form: element.querySelector("form"), url: element.querySelector("#ss-api-url"),
    file: element.querySelector("#ss-api-file"), text: element.querySelector("#ss-api-text"),
    mcp: element.querySelector("#ss-api-mcp"), token: element.querySelector("#ss-api-token"),
    problem: element.querySelector(".ss-problem"), jobs: element.querySelector(".ss-api-jobs"),
    review: element.querySelector(".ss-api-review"),
  });
  part.form.addEventListener("submit", begin);
  takeDrops(part.form, part.file);
  onTab("API", () => refresh());
  on("me", (me) => { if (me.role !== "admin") part.form.hidden = true; });
});
