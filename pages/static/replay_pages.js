// The timeline of one conversation, however long: pages of steps, read when they come near the window, and left
// empty, as high as they were, when they are far from it. Which step somebody is at is replay.js's.

import { node, visible } from "./text.js";

const NEAR = "1500px 0px";
const STEP_PX = 110; // about: a page that was never seen is taken to be as high
// A conversation of so many pages stays whole once it is read: the browser's own search finds all of it.
const MOST_WHOLE = 20;
const MOST_READ = 12;
// What somebody opened or tried is not taken from them.
const IN_USE = "details[open], .ss-what-if-answer, .ss-what-if-args, :focus";

export class Timeline {
  #root; #read; #make; #filled;
  #pages = [];
  #size = 1;
  #near = new Set();
  #kept = new Set();
  #place = 0;
  #filling = false;
  #observer = new IntersectionObserver((entries) => this.#moved(entries), { rootMargin: NEAR });

  /**
   * `read(after, count)` gives steps; `make(step, place)` the element of one; `filled(steps, elements)` is told what
   * has come into the page.
   */
  constructor(root, { read, make, filled }) {
    [this.#root, this.#read, this.#make, this.#filled] = [root, read, make, filled];
  }

  /** Lay a conversation out, by its outline; nothing of it is read yet. */
  show(outline) {
    this.#observer.disconnect();
    this.#near.clear();
    this.#kept.clear();
    [this.#pages, this.#size, this.#place] = [[], outline.page, 0];
    this.#root.replaceChildren();
    this.grow(outline);
  }

  /** The conversation has gone on: what is there stays, and a page that was not full is read again. */
  grow(outline) {
    outline.pages.forEach((after, index) => {
      const count = Math.min(outline.page, outline.steps - index * outline.page);
      const page = this.#pages[index] ?? this.#add(after, index);
      if (page.count === count) return;
      Object.assign(page, { count, reading: null, filled: false });
      if (!page.element.children.length) page.element.style.minHeight = `${count * STEP_PX}px`;
    });
    if (this.#pages.length <= MOST_WHOLE) for (const page of this.#pages) this.#near.add(page);
    this.#fillNear();
  }

  /** The step at a place, counted from 0. */
  async step(place) {
    return (await this.#steps(this.#pageOf(place)))[place % this.#size];
  }

  /** Its element, in the page. */
  async element(place) {
    const page = this.#pageOf(place);
    await this.#fill(page);
    return page.element.children[place % this.#size];
  }

  /** Show which step is looked at: it is marked, those after it are paler. */
  mark(place) {
    this.#place = place;
    for (const page of this.#pages) if (page.filled) this.#paint(page);
  }

  /** Change something without moving what is read just now. */
  steady(change) {
    const anchor = [...this.#root.querySelectorAll(".ss-step")]
      .find((step) => step.getBoundingClientRect().bottom > 0) ?? this.#root;
    const before = anchor.getBoundingClientRect().top;
    change();
    if (anchor.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - before);
  }

  #pageOf(place) {
    return this.#pages[Math.floor(place / this.#size)];
  }

  #add(after, index) {
    const element = node("ol", { class: "ss-page", start: index * this.#size + 1 });
    const page = { after, index, element, count: 0, reading: null, filled: false, failed: false };
    this.#pages.push(page);
    this.#root.append(element);
    this.#observer.observe(element);
    return page;
  }

  /** Its steps; those of a few pages are kept. */
  #steps(page) {
    page.reading ??= this.#read(page.after, page.count).catch((error) => { page.reading = null; throw error; });
    this.#kept.delete(page);
    this.#kept.add(page);
    for (const old of this.#kept) {
      if (this.#kept.size <= MOST_READ) break;
      this.#kept.delete(old);
      if (!old.filled) old.reading = null;
    }
    return page.reading;
  }

  async #fill(page) {
    const steps = await this.#steps(page);
    if (page.filled) return;
    const from = page.index * this.#size;
    const made = steps.map((step, index) => this.#make(step, from + index));
    this.steady(() => {
      page.element.replaceChildren(...made);
      page.element.style.minHeight = "";
    });
    Object.assign(page, { filled: true, failed: false });
    this.#paint(page);
    this.#filled(steps, made);
    if (this.#pages.length > MOST_WHOLE) this.#sweep(page);
  }

  /** Empty what is far from the window, but for the page that somebody is about to be brought to. */
  #sweep(wanted) {
    for (const page of this.#pages) {
      if (page.filled && page !== wanted && !this.#near.has(page) && !page.element.querySelector(IN_USE)) this.#empty(page);
    }
  }

  #empty(page) {
    page.element.style.minHeight = `${page.element.offsetHeight}px`; // what is read stays where it is
    page.element.replaceChildren();
    Object.assign(page, { filled: false, reading: null });
  }

  #moved(entries) {
    const byElement = new Map(this.#pages.map((page) => [page.element, page]));
    for (const entry of entries) {
      const page = byElement.get(entry.target);
      if (!page) continue;
      if (entry.isIntersecting) this.#near.add(page);
      // Without a size it is another tab that is looked at.
      else if (entry.boundingClientRect.width && this.#pages.length > MOST_WHOLE) this.#near.delete(page);
    }
    if (this.#pages.length > MOST_WHOLE) this.#sweep();
    this.#fillNear();
  }

  /** One page after the other, the nearest first: what was scrolled past meanwhile is never read. */
  async #fillNear() {
    if (this.#filling) return;
    this.#filling = true;
    for (let page = this.#nearest(); page; page = this.#nearest()) {
      try { await this.#fill(page); } catch (error) { this.#tell(page, error); }
    }
    this.#filling = false;
  }

  #nearest() {
    const far = (page) => Math.abs(page.element.getBoundingClientRect().top + page.element.offsetHeight / 2);
    return [...this.#near].filter((page) => !page.filled && !page.failed)
      .reduce((best, page) => (best && far(best) <= far(page) ? best : page), null);
  }

  #tell(page, error) {
    page.failed = true;
    const again = node("button", { type: "button", class: "ss-button" }, "Try again");
    again.addEventListener("click", () => { page.failed = false; this.#fillNear(); });
    page.element.replaceChildren(node("li", { class: "ss-problem" },
      `These steps could not be read: ${visible(error.message)} `, again));
  }

  #paint(page) {
    const from = page.index * this.#size;
    [...page.element.children].forEach((element, index) => {
      const [place, now] = [from + index, from + index === this.#place];
      element.classList.toggle("ss-now", now);
      element.classList.toggle("ss-later", place > this.#place);
      if (now) element.setAttribute("aria-current", "step");
      else element.removeAttribute("aria-current");
    });
  }
}
