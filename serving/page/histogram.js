/** How many rows have which branch rate, and which of them are kept. */

import { element } from "./elements.js";
import { count } from "./formats.js";

const BINS = 40;

/** A round end of the axis, at or above the highest rate. */
export const axisEnd = (highest) => Math.min(1, Math.max(0.05, Math.ceil(highest * 20) / 20));

/**
 * @param {HTMLElement} place
 * @param {number[]} sorted Rates, ascending.
 * @param {number} maxRate The highest that is kept.
 */
export function showHistogram(place, sorted, maxRate) {
  const end = axisEnd(sorted.at(-1));
  const bins = Array.from({ length: BINS }, () => ({ kept: 0, dropped: 0 }));
  for (const rate of sorted) {
    const bin = bins[Math.min(BINS - 1, Math.floor((rate / end) * BINS))];
    bin[rate <= maxRate ? "kept" : "dropped"] += 1;
  }
  const highest = Math.max(...bins.map(({ kept, dropped }) => kept + dropped));
  place.replaceChildren(
    ...bins.map(({ kept, dropped }, at) => {
      const from = ((at * end) / BINS).toFixed(3);
      const to = (((at + 1) * end) / BINS).toFixed(3);
      const bar = element("div", { title: `${from} to ${to}: ${count(kept)} kept, ${count(dropped)} dropped` });
      for (const [name, rows] of [["dropped", dropped], ["kept", kept]]) {
        const part = element("i", { class: name });
        part.style.setProperty("height", rows ? `max(2px, ${(100 * rows) / highest}%)` : "0");
        bar.append(part);
      }
      return bar;
    }),
  );
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(3);
  place.setAttribute(
    "aria-label",
    `Branch rates of ${count(sorted.length)} rows: lowest ${at(0)}, a quarter below ${at(0.25)}, ` +
      `half below ${at(0.5)}, three quarters below ${at(0.75)}, highest ${at(1)}; kept up to ${maxRate.toFixed(3)}`,
  );
}
