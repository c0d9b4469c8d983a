// The page's header: connection state, light or dark, and the logged-in user.

import { connectionState } from "./connection.js";
import { find } from "./dom.js";
import { dropAllDrafts } from "./drafts.js";
import { emit, on } from "./events.js";
import { register } from "./mounts.js";
import { noteLogout, openLogin, request } from "./rest.js";

const THEME_KEY = "ss-look";
const TAB_PADDING_PX = 16;
const STATES = { connecting: "Connecting…", live: "Live", lost: "Connection lost. Reconnecting…" };

function showState() {
  const place = document.getElementById("ss-state");
  if (!place) return;
  place.dataset.state = connectionState();
  find(place, "span").textContent = STATES[connectionState()];
}

// The system's theme, until the viewer chooses one.
function chosenTheme() {
  try { return localStorage.getItem(THEME_KEY); } catch { return null; }
}

const isDark = () => document.body.classList.contains("dark");

function applyTheme() {
  const theme = chosenTheme();
  if (theme) document.body.classList.toggle("dark", theme === "dark");
  showTheme();
}

function toggleTheme() {
  const theme = isDark() ? "light" : "dark";
  try { localStorage.setItem(THEME_KEY, theme); } catch { /* it lasts until the page is left */ }
  document.body.classList.toggle("dark", theme === "dark");
  showTheme();
}

function showTheme() {
  document.documentElement.style.colorScheme = isDark() ? "dark" : "light";
  const label = isDark() ? "Switch to light theme" : "Switch to dark theme";
  document.getElementById("ss-look")?.setAttribute("aria-label", label);
}

/** Shows who is logged in; without logins there is nothing to show. */
async function showUser() {
  const user = await request("GET", "/me").catch((error) => {
    if (error.status === 401) openLogin();
    return null;
  });
  if (!user) return;
  document.body.dataset.role = user.role;
  emit("me", user);
  const place = document.getElementById("ss-me");
  if (!place || !user.login) return;
  place.hidden = false;
  find(place, "span").textContent = `${user.display_name || user.name} (${user.role})`;
  find(place, "span").title = user.name;
}

/**
 * Where the tabs begin: each of them ends with the window, and what is above differs between users, windows and freezes.
 */
function measureTop() {
  const bar = document.querySelector("#ss-tabs > .tab-wrapper");
  const top = bar ? `${Math.round(bar.getBoundingClientRect().bottom + scrollY) + TAB_PADDING_PX}px` : "";
  if (top) document.documentElement.style.setProperty("--ss-top", top);
}

register("shell", (element) => {
  const sizes = new ResizeObserver(measureTop);
  for (const node of [element, document.body]) sizes.observe(node);
  showUser();
  find(element, "#ss-me").addEventListener("submit", () => { noteLogout(); dropAllDrafts(); });
  find(element, "#ss-look").addEventListener("click", toggleTheme);
  find(element, "#ss-pending").addEventListener("click", () => emit("show_approvals", undefined));
  on("state", showState);
  showState();
  applyTheme();
  new MutationObserver(applyTheme).observe(document.body, { attributeFilter: ["class"] });
});
