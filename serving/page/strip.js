/** A strip along a trace: each step as wide as its text, as high as its probability, in the colour of its kind. */

export class Strip {
  #canvas;
  #ends = [];
  #length = 1;
  #steps = [];
  #kinds = [];
  #marked = 0;
  #drawing = false;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(index: number) => void} choose Called with the step that was clicked.
   */
  constructor(canvas, choose) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#later()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#later());
    canvas.addEventListener("click", (event) => {
      const at = (event.offsetX / canvas.clientWidth) * this.#length;
      const index = this.#steps.findIndex((_, step) => this.#ends[2 * step + 1] > at);
      if (this.#steps.length) choose(index < 0 ? this.#steps.length - 1 : index);
    });
  }

  /**
   * @param {number[]} ends Where the steps start and end, in turn.
   * @param {number} length Of the whole text.
   * @param {object[]} steps
   */
  show(ends, length, steps) {
    this.#ends = ends;
    this.#length = Math.max(1, length);
    this.#steps = steps;
  }

  /** Take the kinds of the steps. */
  useKinds(kinds) {
    this.#kinds = kinds;
    const places = kinds.flatMap((kind, index) => (kind === "convergent" ? [] : [index]));
    const percents = places.map((index) => Math.round((100 * this.#ends[2 * index]) / this.#length));
    const listed = percents.slice(0, 20).map((place) => `${place} %`).join(", ");
    const more = percents.length > 20 ? " and further on" : "";
    this.#canvas.setAttribute(
      "aria-label",
      places.length ? `Where the trace branches: at ${listed}${more} of its length` : "The trace does not branch",
    );
    this.#later();
  }

  /** Point to a step. */
  mark(index) {
    this.#marked = index;
    this.#later();
  }

  #later() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const canvas = this.#canvas;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !this.#kinds.length) return;
    const scale = devicePixelRatio;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const place = (offset) => (offset / this.#length) * width;
    for (const branching of [false, true]) {
      this.#steps.forEach((step, index) => {
        const kind = this.#kinds[index];
        if ((kind !== "convergent") !== branching) return;
        const start = place(this.#ends[2 * index]);
        const gap = this.#steps.length < width / 4 ? 1 : 0;
        const wide = Math.max(branching ? 2 : 0.5, place(this.#ends[2 * index + 1]) - start - gap);
        const high = Math.max(2, step.probability * (height - 6));
        context.fillStyle = style.getPropertyValue(`--kind-${kind}`);
        context.fillRect(start, height - high, wide, high);
      });
    }
    const [start, end] = [place(this.#ends[2 * this.#marked]), place(this.#ends[2 * this.#marked + 1])];
    context.fillStyle = style.getPropertyValue("--text");
    context.fillRect(start, 0, Math.max(2, end - start), 3);
  }
}
