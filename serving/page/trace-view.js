/** The steps of a scored trace: in their text, along a strip, and one of them in detail. */

import { byId, element } from "./elements.js";
import { percent } from "./formats.js";
import { BRANCH_KINDS, kindAt } from "./kinds.js";
import { utf16Offsets } from "./offsets.js";
import { Strip } from "./strip.js";

export class TraceView {
  #list = byId("steps");
  #details = byId("step-details");
  #strip = new Strip(byId("strip"), (index) => this.#focus(index));
  #steps = [];
  #elements = [];
  #kinds = [];
  #current = 0;

  constructor() {
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => this.#at(event, (index) => this.#focus(index)));
    this.#list.addEventListener("pointerover", (event) => this.#at(event, (index) => this.#describe(index)));
    this.#list.addEventListener("pointerleave", () => this.#describe(this.#current));
    this.#list.addEventListener("focusin", (event) => this.#at(event, (index) => this.#select(index)));
    byId("previous-branch").addEventListener("click", () => this.#focus(this.#branch(-1)));
    byId("next-branch").addEventListener("click", () => this.#focus(this.#branch(1)));
  }

  /**
   * @param {string} text The trace as it was given.
   * @param {object[]} steps What the service says of its steps, with offsets in code points.
   */
  show(text, steps) {
    const ends = utf16Offsets(text, steps.flatMap((step) => [step.start, step.end]));
    this.#steps = steps;
    this.#kinds = steps.map(() => null);
    const parts = [];
    let done = 0;
    this.#elements = steps.map((step, index) => {
      const [start, end] = [ends[2 * index], ends[2 * index + 1]];
      if (start > done) parts.push(outside(text.slice(done, start)));
      const made = element("span", { role: "option", class: "step", dir: "auto", tabindex: "-1", "aria-selected": "false" });
      made.textContent = text.slice(start, end);
      made.dataset.index = index;
      made.style.setProperty("--probability", step.probability);
      parts.push(made);
      done = end;
      return made;
    });
    parts.push(outside(text.slice(done)));
    this.#list.replaceChildren(...parts);
    this.#list.scrollTop = 0;
    this.#strip.show(ends, text.length, steps);
    this.#current = 0;
    if (steps.length) this.#select(0);
  }

  /** Colour the steps by a threshold; returns the kind of each. */
  useThreshold(threshold) {
    this.#steps.forEach((step, index) => {
      const kind = kindAt(step, threshold);
      if (kind === this.#kinds[index]) return;
      this.#kinds[index] = kind;
      this.#elements[index].dataset.kind = kind;
    });
    this.#strip.useKinds(this.#kinds);
    this.#describe(this.#current);
    const none = this.#kinds.every((kind) => kind === "convergent");
    byId("previous-branch").disabled = byId("next-branch").disabled = none;
    return this.#kinds;
  }

  #at(event, act) {
    const step = event.target.closest?.(".step");
    if (step) act(Number(step.dataset.index));
  }

  #key(event) {
    const last = this.#steps.length - 1;
    const to = {
      ArrowRight: Math.min(last, this.#current + 1),
      ArrowDown: Math.min(last, this.#current + 1),
      ArrowLeft: Math.max(0, this.#current - 1),
      ArrowUp: Math.max(0, this.#current - 1),
      PageDown: this.#branch(1),
      PageUp: this.#branch(-1),
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#focus(to);
  }

  /** The next branching step in a direction, from the end on the other side if there is none left. */
  #branch(direction) {
    const total = this.#kinds.length;
    for (let away = 1; away <= total; away += 1) {
      const index = (this.#current + direction * away + total * 2) % total;
      if (this.#kinds[index] !== "convergent") return index;
    }
    return this.#current;
  }

  #focus(index) {
    this.#select(index);
    this.#elements[index].focus({ preventScroll: true });
    this.#elements[index].scrollIntoView({ block: "nearest" });
  }

  #select(index) {
    const before = this.#elements[this.#current];
    before.tabIndex = -1;
    before.setAttribute("aria-selected", "false");
    this.#current = index;
    const now = this.#elements[index];
    now.tabIndex = 0;
    now.setAttribute("aria-selected", "true");
    this.#describe(index);
  }

  #describe(index) {
    const step = this.#steps[index];
    const kind = this.#kinds[index];
    if (!step || !kind) return;
    const branches = `branches with a probability of ${percent(step.probability)}`;
    this.#elements[index].setAttribute("aria-description", `${kind}, ${branches}`);
    const all = ["convergent", ...BRANCH_KINDS].map((one) => `${one} ${percent(step.kind_probabilities[one])}`);
    this.#details.replaceChildren(
      element("strong", { "data-kind": kind }, kind),
      ` step ${index + 1} of ${this.#steps.length} ${branches}`,
      element("small", {}, all.join(" · ")),
    );
    this.#strip.mark(index);
  }
}

/** Text that belongs to no step: white space, marks, what is not reasoning. */
function outside(text) {
  return text.trim() ? element("span", { class: "outside", dir: "auto" }, text) : text;
}
