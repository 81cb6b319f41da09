/** The panel for a file: score its rows, choose how many to keep, take the kept ones. */

import { byId, element, showFigures, showMessage } from "./elements.js";
import { isParquet, scoreFile } from "./file-scores.js";
import { bytes, count, percent, plural, rate } from "./formats.js";
import { axisEnd, showHistogram } from "./histogram.js";
import { joined } from "./lines.js";
import { keeps, mostBranchingFirst, rateAtFraction, sortedRates } from "./selection.js";

const SIDE_ROWS = 4;
const EXCERPT = 300;
const ERRORS = 20;

/** Tell whether a file that was chosen is one that was chosen before, and has not changed. */
const isSame = (one, other) => ["name", "size", "lastModified"].every((name) => one[name] === other[name]);

/**
 * @param {import("./service.js").Service} service
 * @param {(error: Error, place: HTMLElement) => void} report
 * @param {(trace: string) => void} open Shows a trace with its steps.
 */
export function activateFilePanel(service, report, open) {
  const status = byId("file-status");
  const bar = byId("progress");
  const slider = byId("keep");
  let limits = null;
  let running = null;
  /** A file whose scoring has not ended: the file, the model, its lines, and the rows that are scored. */
  let unfinished = null;
  /** What was scored: the lines, their results, these in order, and those that are kept. */
  let scored = null;
  let shownCut = null;

  async function score(file) {
    running?.abort();
    const mine = (running = new AbortController());
    showMessage(byId("file-error"), null);
    byId("file-result").hidden = true;
    byId("stop").hidden = bar.hidden = false;
    bar.value = 0;
    status.textContent = "Reading…";
    try {
      const info = await service.info();
      limits = info.limits;
      const model = `${info.model.sha256} ${info.model.precision}`;
      if (!unfinished || unfinished.model !== model || !isSame(unfinished.file, file)) {
        unfinished = { file, model, rows: [], ...(await read(file, mine.signal)) };
      }
      const { lines, name, rows } = unfinished;
      await scoreFile(service, lines, limits, rows, (share, done) => {
        bar.value = share;
        status.textContent = `${plural(done, "row")} scored…`;
      }, mine.signal);
      if (mine !== running) return;
      unfinished = null;
      if (!rows.length) throw new Error(`${file.name} holds no rows.`);
      scored = { lines, name, rows, sorted: sortedRates(rows), ordered: mostBranchingFirst(rows) };
      status.textContent = `${plural(rows.length, "row")} scored.`;
      show();
    } catch (error) {
      if (mine !== running) return;
      const done = unfinished?.rows.length;
      status.textContent = [
        error.name === "AbortError" ? "Stopped." : "",
        done ? `${plural(done, "row")} scored; Score goes on from there.` : "",
      ].join(" ").trim();
      report(error, byId("file-error"));
    } finally {
      if (mine === running) {
        running = null;
        byId("stop").hidden = bar.hidden = true;
      }
    }
  }

  /** Return the rows of a file as JSON lines, and how to name those that are kept. */
  async function read(file, signal) {
    const parquet = await isParquet(file);
    const most = parquet ? limits.max_body_bytes : limits.max_stream_bytes;
    if (file.size > most) {
      const advice = "score it with the branching command instead";
      throw new Error(`${file.name} has ${bytes(file.size)}; here it may have ${bytes(most)}: ${advice}.`);
    }
    const name = `${file.name.replace(/\.[^.]*$/, "")}-kept.jsonl`;
    return { lines: parquet ? await service.rows(file, signal) : file, name };
  }

  function show() {
    const { rows, sorted } = scored;
    const failed = rows.filter(({ error }) => error !== null);
    byId("file-result").hidden = false;
    byId("unscored").hidden = !failed.length;
    byId("unscored-label").textContent = `keep the ${plural(failed.length, "row")} without a score as well`;
    byId("axis-end").textContent = sorted.length ? axisEnd(sorted.at(-1)).toFixed(2) : "";
    byId("histogram").hidden = !sorted.length;
    byId("errors").hidden = !failed.length;
    byId("error-list").replaceChildren(
      ...failed.slice(0, ERRORS).map((row) => element("li", {}, `Row ${count(rows.indexOf(row) + 1)}: ${row.error}`)),
      ...(failed.length > ERRORS ? [element("li", {}, `… and ${count(failed.length - ERRORS)} more`)] : []),
    );
    choose();
  }

  function choose() {
    const { name, rows, sorted } = scored;
    const keep = Number(slider.value) / 100;
    const maxRate = sorted.length ? rateAtFraction(sorted, keep) : 0;
    const kept = rows.filter((row) => keeps(row, maxRate, byId("keep-unscored").checked));
    const steps = rows.reduce((sum, row) => sum + (row.steps ?? 0), 0);
    const keptSteps = kept.reduce((sum, row) => sum + (row.steps ?? 0), 0);
    byId("keep-value").textContent = `${slider.value} %`;
    byId("choice").textContent =
      `Keeps ${count(kept.length)} of ${plural(rows.length, "row")}` +
      (sorted.length ? `: those with a branch rate up to ${rate(maxRate)}.` : ".") +
      (steps ? ` ${percent(1 - keptSteps / steps)} of the steps are dropped.` : "");
    showFigures(byId("file-figures"), [
      ["rows", count(rows.length)],
      ["without a score", count(rows.length - sorted.length)],
      ["median rate", sorted.length ? rate(sorted[Math.floor(sorted.length / 2)]) : "–"],
      ["highest rate", sorted.length ? rate(sorted.at(-1)) : "–"],
      ["kept", count(kept.length)],
      ["dropped", count(rows.length - kept.length)],
    ]);
    if (sorted.length) showHistogram(byId("histogram"), sorted, maxRate);
    showBorderline(maxRate);
    scored.kept = kept;
    const size = kept.reduce((sum, row) => sum + row.end - row.start, 0);
    byId("download-help").textContent = `${name}, ${plural(kept.length, "row")}, ${bytes(size)}`;
  }

  /** Show the rows around the cut, the most branching first. */
  async function showBorderline(maxRate) {
    shownCut = maxRate;
    const { lines, ordered } = scored;
    const cut = ordered.findIndex((row) => row.rate <= maxRate);
    const near = ordered.slice(Math.max(0, cut - SIDE_ROWS), cut + SIDE_ROWS);
    const texts = await Promise.all(near.map(({ start, end }) => lines.slice(start, Math.min(end, start + EXCERPT)).text()));
    if (maxRate !== shownCut) return; // The slider has moved on.
    byId("borderline").replaceChildren(
      ...near.map((row, at) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, opener(row)),
          element("td", {}, rate(row.rate)),
          element("td", {}, `${count(row.branches)} of ${count(row.steps)}`),
          element("td", {}, row.rate <= maxRate ? "kept" : "dropped"),
          element("td", { dir: "auto" }, texts[at].trim()),
        ),
      ),
    );
  }

  /** Make a button that shows the steps of a row. */
  function opener(row) {
    const label = `Row ${count(row.number)}: show its steps`;
    const button = element("button", { type: "button", "aria-label": label, title: label }, count(row.number));
    button.addEventListener("click", async () => {
      showMessage(byId("row-error"), null);
      try {
        // As text, in which no byte order mark is left.
        open(await service.reasoningOf(await scored.lines.slice(row.start, row.end).text()));
      } catch (error) {
        report(error, byId("row-error"));
      }
    });
    return button;
  }

  byId("file-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [file] = byId("file").files;
    if (file) score(file);
  });
  byId("stop").addEventListener("click", () => running?.abort());
  slider.addEventListener("input", choose);
  byId("keep-unscored").addEventListener("change", choose);

  // Put together only now: each place of the slider would be a file of its own.
  byId("download").addEventListener("click", () => {
    const link = byId("download");
    if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(joined(scored.lines, scored.kept));
    link.download = scored.name;
  });

  const drop = byId("drop");
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) byId("file").files = event.dataTransfer.files;
  });

  return {
    /** Say what the service accepts. */
    useLimits(stated) {
      limits = stated;
      byId("file-limits").textContent =
        `JSON lines up to ${bytes(stated.max_stream_bytes)}, Parquet up to ` +
        `${bytes(stated.max_body_bytes)} and ${plural(stated.max_items, "row")}.`;
    },
  };
}
