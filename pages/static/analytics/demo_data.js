// The note about demo data, in the Analytics and the Replay tab.

import { closest, find, messageOf, visible } from "../shell/dom.js";
import { emit, emitWhenReady } from "../shell/events.js";
import { plural } from "../shell/format.js";
import { register } from "../shell/mounts.js";
import { request } from "../shell/rest.js";
import { onTab } from "../shell/tabs.js";

async function showNotes() {
  const history = await request("GET", "/demo-history").catch(() => null);
  const count = history?.conversations ?? 0;
  for (const note of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".ss-demo-note"))) {
    note.hidden = count === 0;
    find(note, "span").textContent = `${plural(count, "conversation")} here ${count === 1 ? "is" : "are"} demo data.`;
  }
}

document.addEventListener("click", async (event) => {
  const button = closest(event, ".ss-demo-note button");
  if (!(button instanceof HTMLButtonElement) || !confirm("Delete the demo conversations? Real ones stay.")) return;
  button.disabled = true;
  try {
    await request("DELETE", "/demo-history");
    emit("conversations_changed", undefined);
    emitWhenReady("replay_find", { params: new URLSearchParams(), range: "" });
    await showNotes();
  } catch (error) {
    if (button.previousElementSibling) button.previousElementSibling.textContent = visible(messageOf(error));
  } finally {
    button.disabled = false;
  }
});

// Placed in both tabs; either may be opened first.
register("demo_note", showNotes);
onTab("Analytics", showNotes);
onTab("Replay", showNotes);
