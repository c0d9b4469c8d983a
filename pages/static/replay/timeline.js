// The steps of one conversation, of any length: pages of steps are loaded when they come near the window, and emptied,
// with their height kept, when they are far from it.

import { actionButton, messageOf, node } from "../shell/dom.js";

const NEAR = "1500px 0px";
// The assumed height of a step that was never shown.
const STEP_PX = 110;
// Up to so many pages, all steps stay in the page, so that the browser's own search covers them.
const MAX_WHOLE_PAGES = 20;
const MAX_CACHED_PAGES = 12;
// A page with something open or focused is not emptied.
const IN_USE = "details[open], .ss-what-if-answer, .ss-what-if-args, :focus";

/**
 * `after`: the event number before its first step; `count`: its steps; `reading`: their request, if it was sent.
 * @typedef {{after: number, index: number, element: HTMLElement, count: number, reading: Promise<Step[]> | null,
 *   isFilled: boolean, hasFailed: boolean}} Page
 */

export class Timeline {
  #root; #read; #make; #filled;
  /** @type {Page[]} */
  #pages = [];
  #size = 1;
  /** @type {Set<Page>} */
  #near = new Set();
  /** Pages with loaded steps, the least recently used first. @type {Set<Page>} */
  #cached = new Set();
  #place = 0;
  #isFilling = false;
  #observer = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: NEAR });

  /**
   * `read` loads steps; `make` creates the element of one; `filled` is called with the steps of a page that was filled.
   * @param {HTMLElement} root
   * @param {{read: (after: number, count: number) => Promise<Step[]>, make: (step: Step, place: number) => HTMLElement,
   *   filled: (steps: Step[], elements: HTMLElement[]) => void}} callbacks
   */
  constructor(root, { read, make, filled }) {
    this.#root = root;
    this.#read = read;
    this.#make = make;
    this.#filled = filled;
  }

  /** Lays a conversation out by its outline, before any step is loaded. @param {Outline} outline */
  show(outline) {
    this.#observer.disconnect();
    this.#near.clear();
    this.#cached.clear();
    [this.#pages, this.#size, this.#place] = [[], outline.page, 0];
    this.#root.replaceChildren();
    this.grow(outline);
  }

  /** Adds pages after the conversation went on; a page that was not full is loaded again. @param {Outline} outline */
  grow(outline) {
    outline.pages.forEach((after, index) => {
      const count = Math.min(outline.page, outline.steps - index * outline.page);
      const page = this.#pages[index] ?? this.#add(after, index);
      if (page.count === count) return;
      Object.assign(page, { count, reading: null, isFilled: false });
      if (!page.element.children.length) page.element.style.minHeight = `${count * STEP_PX}px`;
    });
    if (this.#pages.length <= MAX_WHOLE_PAGES) for (const page of this.#pages) this.#near.add(page);
    this.#fillNear();
  }

  /** The step at a place, counted from 0. @param {number} place */
  async step(place) {
    return (await this.#steps(this.#pageOf(place)))[place % this.#size];
  }

  /** The element of the step at a place. @param {number} place */
  async element(place) {
    const page = this.#pageOf(place);
    await this.#fill(page);
    return page.element.children[place % this.#size];
  }

  /** Marks the current step; later ones are dimmed. @param {number} place */
  mark(place) {
    this.#place = place;
    for (const page of this.#pages) if (page.isFilled) this.#paint(page);
  }

  /** Changes something without moving the visible steps on the screen. @param {() => void} change */
  keepInPlace(change) {
    const anchor = [...this.#root.querySelectorAll(".ss-step")]
      .find((step) => step.getBoundingClientRect().bottom > 0) ?? this.#root;
    const before = anchor.getBoundingClientRect().top;
    change();
    if (anchor.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  /** @param {number} place */
  #pageOf(place) {
    return this.#pages[Math.floor(place / this.#size)];
  }

  /** @param {number} after @param {number} index @returns {Page} */
  #add(after, index) {
    const element = node("ol", { class: "ss-page", start: String(index * this.#size + 1) });
    const page = { after, index, element, count: 0, reading: null, isFilled: false, hasFailed: false };
    this.#pages.push(page);
    this.#root.append(element);
    this.#observer.observe(element);
    return page;
  }

  /** The steps of a page; those of a few pages are cached. @param {Page} page @returns {Promise<Step[]>} */
  #steps(page) {
    const reading = page.reading ??= this.#read(page.after, page.count).catch((error) => { page.reading = null; throw error; });
    this.#cached.delete(page);
    this.#cached.add(page);
    for (const old of this.#cached) {
      if (this.#cached.size <= MAX_CACHED_PAGES) break;
      this.#cached.delete(old);
      if (!old.isFilled) old.reading = null;
    }
    return reading;
  }

  /** @param {Page} page */
  async #fill(page) {
    const steps = await this.#steps(page);
    if (page.isFilled) return;
    const from = page.index * this.#size;
    const made = steps.map((step, index) => this.#make(step, from + index));
    this.keepInPlace(() => {
      page.element.replaceChildren(...made);
      page.element.style.minHeight = "";
    });
    Object.assign(page, { isFilled: true, hasFailed: false });
    this.#paint(page);
    this.#filled(steps, made);
    if (this.#pages.length > MAX_WHOLE_PAGES) this.#sweep(page);
  }

  /** Empties the pages far from the window, except the one that is about to be shown. @param {Page} [target] */
  #sweep(target) {
    for (const page of this.#pages) {
      if (page.isFilled && page !== target && !this.#near.has(page) && !page.element.querySelector(IN_USE)) this.#empty(page);
    }
  }

  /** @param {Page} page */
  #empty(page) {
    page.element.style.minHeight = `${page.element.offsetHeight}px`;
    page.element.replaceChildren();
    Object.assign(page, { isFilled: false, reading: null });
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #moved(entries) {
    const byElement = /** @type {Map<Element, Page>} */ (new Map(this.#pages.map((page) => [page.element, page])));
    for (const entry of entries) {
      const page = byElement.get(entry.target);
      if (!page) continue;
      if (entry.isIntersecting) this.#near.add(page);
      // Without a size, another tab is open.
      else if (entry.boundingClientRect.width && this.#pages.length > MAX_WHOLE_PAGES) this.#near.delete(page);
    }
    if (this.#pages.length > MAX_WHOLE_PAGES) this.#sweep();
    this.#fillNear();
  }

  /** Fills one page after the other, the nearest first, so that pages scrolled past are never loaded. */
  async #fillNear() {
    if (this.#isFilling) return;
    this.#isFilling = true;
    for (let page = this.#nearest(); page; page = this.#nearest()) {
      try { await this.#fill(page); } catch (error) { this.#showFailure(page, messageOf(error)); }
    }
    this.#isFilling = false;
  }

  #nearest() {
    /** @param {Page} page */
    const distance = (page) => Math.abs(page.element.getBoundingClientRect().top + page.element.offsetHeight / 2);
    return [...this.#near].filter((page) => !page.isFilled && !page.hasFailed)
      .reduce((best, page) => (best && distance(best) <= distance(page) ? best : page), /** @type {Page | null} */ (null));
  }

  /** @param {Page} page @param {string} message */
  #showFailure(page, message) {
    page.hasFailed = true;
    const retry = actionButton("Try again", "", () => { page.hasFailed = false; this.#fillNear(); });
    page.element.replaceChildren(node("li", { class: "ss-problem" }, `Couldn't load these steps: ${message} `, retry));
  }

  /** @param {Page} page */
  #paint(page) {
    const from = page.index * this.#size;
    [...page.element.children].forEach((element, index) => {
      const place = from + index;
      const isCurrent = place === this.#place;
      element.classList.toggle("ss-now", isCurrent);
      element.classList.toggle("ss-later", place > this.#place);
      if (isCurrent) element.setAttribute("aria-current", "step");
      else element.removeAttribute("aria-current");
    });
  }
}
