// The export of the chosen range: figures, decisions or events, with the columns chosen.

import { find } from "../shell/dom.js";
import { on } from "../shell/events.js";
import { register } from "../shell/mounts.js";
import { ROOT } from "../shell/rest.js";

register("export", (root) => {
  const form = find(root, "#ss-export", HTMLFormElement);
  const opener = find(root, ".ss-export-open");
  const download = find(form, ".ss-download", HTMLAnchorElement);
  /** @type {Record<string, string>} */
  let range = {};

  function update() {
    const given = new FormData(form);
    const what = String(given.get("what"));
    /** @type {HTMLInputElement[]} */
    let boxes = [];
    for (const group of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll(".ss-columns"))) {
      group.hidden = group.dataset.subject !== what;
      if (!group.hidden) boxes = [...group.querySelectorAll("input")];
    }
    find(form, ".ss-formats").hidden = what === "figures";
    const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
    const query = new URLSearchParams({ ...range, what, format: what === "figures" ? "csv" : String(given.get("format")) });
    if (chosen.length < boxes.length) query.set("columns", chosen.join(","));
    download.href = `${ROOT}/api/v1/analytics/export?${query}`;
    if (chosen.length) download.removeAttribute("aria-disabled");
    else { download.setAttribute("aria-disabled", "true"); download.removeAttribute("href"); }
  }

  opener.addEventListener("click", () => {
    form.hidden = !form.hidden;
    opener.setAttribute("aria-expanded", String(!form.hidden));
  });
  form.addEventListener("change", update);
  on("analytics_range", (chosen) => { range = chosen; update(); });
  update();
});
