// Connects the scripts with the parts of the page that Gradio places, whichever comes first.

/** @type {Map<string, any[]>} */
const placed = new Map((window.ssMounts ?? []).map(([name, ...parts]) => [name, parts]));
/** @type {Map<string, (...parts: any[]) => void>} */
const builders = new Map();

/**
 * Calls `build` with a part of the page as soon as it is there.
 * @param {string} name
 * @param {(element: HTMLElement, ...others: any[]) => void} build
 */
export function register(name, build) {
  const builder = /** @type {(...parts: any[]) => void} */ (build);
  builders.set(name, builder);
  const parts = placed.get(name);
  if (parts) builder(...parts);
}

window.ssMounts = /** @type {any} */ ({
  /** @param {[string, ...any[]][]} all */
  push(...all) {
    for (const [name, ...parts] of all) {
      placed.set(name, parts);
      builders.get(name)?.(...parts);
    }
  },
});
