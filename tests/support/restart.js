// Lets the console's own scripts start anew in a page that stays loaded: Gradio takes ten times as long to load.
// It runs before them, and notes what they begin (timers, sockets, listeners of the page), so that it can end it.
(() => {
  const OURS = /\/console\/(?:bundle\/\w+|start-(\d+))\.js/;
  const real = { setTimeout: window.setTimeout.bind(window), setInterval: window.setInterval.bind(window), fetch: window.fetch.bind(window) };
  /** The number of the start that runs. */
  let current = 0;
  /** What ends it. */
  let ends = [];
  /** The scripts' own `ssMounts`, once they have one. */
  let registry = null;
  /** The parts of the page that Gradio has placed, by name, and what was in them. */
  const parts = new Map();
  const contents = new Map();

  /** The number of the start that has called the caller of this function; null where it is no script of ours. */
  function startOfCaller() {
    const match = OURS.exec(new Error().stack.split("\n")[3] ?? "");
    return match && Number(match[1] ?? 0);
  }

  /** A function that does nothing once its start has ended. */
  const whileRunning = (start, action) => (...values) => (start === current ? action(...values) : undefined);

  window.setTimeout = (action, ...others) => {
    const start = startOfCaller();
    return real.setTimeout(start === null ? action : whileRunning(start, action), ...others);
  };
  window.setInterval = (action, ...others) => {
    const start = startOfCaller();
    const id = real.setInterval(action, ...others);
    if (start !== null) ends.push(() => clearInterval(id));
    return id;
  };
  window.fetch = (...request) => {
    const start = startOfCaller();
    const answer = real.fetch(...request);
    if (start === null) return answer;
    return new Promise((resolve, reject) => { answer.then(whileRunning(start, resolve), whileRunning(start, reject)); });
  };
  for (const target of [window, document]) {
    const add = target.addEventListener.bind(target);
    target.addEventListener = (type, listener, options) => {
      add(type, listener, options);
      if (startOfCaller() !== null) ends.push(() => target.removeEventListener(type, listener, options));
    };
  }
  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      const start = startOfCaller();
      if (start === null) return;
      const silence = (event) => { if (start !== current) event.stopImmediatePropagation(); };
      for (const type of ["open", "message", "close", "error"]) this.addEventListener(type, silence);
      ends.push(() => this.close());
    }
  };
  window.MutationObserver = class extends MutationObserver {
    constructor(listener) {
      super(listener);
      if (startOfCaller() !== null) ends.push(() => this.disconnect());
    }
  };

  const withTools = (tools) => {
    const start = current;
    const watch = (name, listener) => tools.watch(name, whileRunning(start, listener));
    return { trigger: tools.trigger, props: tools.props, watch };
  };
  let hidden = new Set();
  const mounts = [];
  mounts.push = (...all) => {
    for (const [name, element, tools] of all) {
      parts.set(name, [element, tools]);
      hidden.delete(name);
      if (!contents.has(element)) contents.set(element, [element.innerHTML, element.className]);
      Array.prototype.push.call(mounts, [name, element, ...(tools ? [withTools(tools)] : [])]);
    }
    registry?.push(...all.map(([name]) => mounts.findLast((one) => one[0] === name)));
  };
  Object.defineProperty(window, "ssMounts", { get: () => mounts, set: (value) => { registry = value; } });

  // Gradio places the parts of a tab when it is opened first. In a page that starts anew they are there already.
  function placeVisible() {
    for (const name of hidden) {
      const [element, tools] = parts.get(name);
      if (element.closest('[role="tabpanel"]')?.offsetParent === null) continue;
      hidden.delete(name);
      mounts.push([name, element, tools]);
    }
  }
  const placeSoon = (frames) => {
    placeVisible();
    if (hidden.size && frames) requestAnimationFrame(() => placeSoon(frames - 1));
  };
  document.addEventListener("click", (event) => {
    if (hidden.size && event.target instanceof Element && event.target.closest('[role="tab"]')) placeSoon(20);
  });

  let source = "";
  /** Ends what runs, so that a page that nobody looks at does nothing. */
  window.stopConsole = async () => {
    const script = document.querySelector('script[src*="/console/bundle/"]');
    source ||= (await (await real.fetch(script.src)).text()).replaceAll("import.meta.url", JSON.stringify(script.src));
    current += 1;
    for (const end of ends.splice(0)) end();
  };

  /** Whether the app is still the one that this page was loaded from. */
  const isSameApp = async () => {
    const answer = await real.fetch(`${window.gradio_config.root}/gradio_api/app_id`).catch(() => null);
    return answer?.ok && (await answer.json()).app_id === window.gradio_config.app_id;
  };

  /** Starts the scripts of a stopped page as if it had been loaded from this address. Whether that is possible. */
  window.startConsole = async (address) => {
    if (!await isSameApp()) return false;
    localStorage.clear();
    sessionStorage.clear();
    history.replaceState(null, "", address);
    for (const part of document.querySelectorAll("body > dialog, body > [class^=ss-]")) part.remove();
    document.activeElement?.blur();
    const first = document.querySelector('[role="tab"]');
    first.click();
    do await new Promise(requestAnimationFrame); while (first.getAttribute("aria-selected") !== "true");
    const message = document.querySelector("#ss-message textarea");
    message.value = "";
    message.dispatchEvent(new Event("input", { bubbles: true }));
    document.body.classList.remove("ss-chat-loaded", "ss-frozen");
    document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
    delete document.body.dataset.role;
    document.title = "Smart Support";
    for (const [element, [html, names]] of contents) {
      element.innerHTML = html;
      element.className = names;
    }
    scrollTo(0, 0);
    registry = null;
    mounts.length = 0;
    hidden = new Set(parts.keys());
    placeVisible();
    window.ssChat = new Promise((resolve) => { window.resolveChat = resolve; });
    const script = document.createElement("script");
    script.textContent = `(() => {"use strict";\n${source}\n})();\n//# sourceURL=/console/start-${current}.js`;
    document.head.append(script);
    script.remove();
    parts.get("chat")[1].trigger("submit");
    return true;
  };
})();
