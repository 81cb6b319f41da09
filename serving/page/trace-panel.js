/** The panel for one trace: paste, score, move the threshold. */

import { byId, showFigures, showMessage } from "./elements.js";
import { EXAMPLE } from "./example.js";
import { count, plural, rate } from "./formats.js";
import { countKinds } from "./kinds.js";
import { TraceView } from "./trace-view.js";

/**
 * @param {import("./service.js").Service} service
 * @param {(error: Error, place: HTMLElement) => void} report
 */
export function activateTracePanel(service, report) {
  const text = byId("trace");
  const status = byId("trace-status");
  const slider = byId("threshold");
  const view = new TraceView();
  let running = null;
  let shown = null;

  async function score() {
    running?.abort();
    const mine = (running = new AbortController());
    showMessage(byId("trace-error"), null);
    status.textContent = "Scoring…";
    const given = text.value;
    try {
      const { model, result } = await service.scoreTrace(given, byId("as-is").checked, mine.signal);
      if (mine !== running) return;
      if (result.error) throw new Error(`This trace has no score: ${result.error}.`);
      shown = { result, threshold: model.threshold };
      byId("trace-result").hidden = false;
      view.show(given, result.steps);
      useThreshold(model.threshold);
      status.textContent = `${plural(result.step_count, "step")} scored.`;
    } catch (error) {
      if (mine !== running) return;
      status.textContent = "";
      byId("trace-result").hidden = true;
      report(error, byId("trace-error"));
    } finally {
      if (mine === running) running = null;
    }
  }

  function useThreshold(threshold) {
    const { result } = shown;
    const kinds = view.useThreshold(threshold);
    const counts = countKinds(kinds);
    const branches = kinds.length - counts.convergent;
    slider.value = threshold;
    byId("threshold-value").textContent = threshold.toFixed(2);
    slider.setAttribute("aria-valuetext", `${threshold.toFixed(2)}: ${branches} of ${plural(kinds.length, "step")} branch`);
    showFigures(byId("trace-figures"), [
      ["branch rate", rate(result.branch_rate)],
      ["steps that branch", `${count(branches)} of ${count(kinds.length)}`],
      [counts.alternative === 1 ? "alternative" : "alternatives", count(counts.alternative)],
      [counts.backtrack === 1 ? "backtrack" : "backtracks", count(counts.backtrack)],
      [counts.restart === 1 ? "restart" : "restarts", count(counts.restart)],
    ]);
  }

  byId("trace-form").addEventListener("submit", (event) => {
    event.preventDefault();
    score();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("trace-form").requestSubmit();
  });
  byId("example").addEventListener("click", () => {
    text.value = EXAMPLE;
    byId("as-is").checked = false;
    score();
  });
  byId("clear").addEventListener("click", () => {
    running?.abort();
    running = null;
    text.value = status.textContent = "";
    byId("as-is").checked = false;
    byId("trace-result").hidden = true;
    showMessage(byId("trace-error"), null);
    text.focus();
  });
  slider.addEventListener("input", () => useThreshold(Number(slider.value)));
  byId("threshold-reset").addEventListener("click", () => useThreshold(shown.threshold));
  text.value ||= EXAMPLE;

  return {
    /** Score a text that is reasoning throughout. */
    open(trace) {
      text.value = trace;
      byId("as-is").checked = true;
      score();
    },
    /** Score the example, unless something else was put in its place. */
    async scoreExample() {
      if (text.value === EXAMPLE) await score();
    },
  };
}
