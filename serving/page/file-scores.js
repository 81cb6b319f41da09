/** Scores the rows of a file through the service, a few at a time. */

import { bytes } from "./formats.js";
import { findLines, inGroups, markLength } from "./lines.js";

const LINES = 256;
const BYTES = 1_000_000;
const AHEAD = 2;

/** What files begin with that are no JSON lines. */
const STARTS = [
  [[0x1f, 0x8b], "is gzip"],
  [[0x28, 0xb5, 0x2f, 0xfd], "is Zstandard"],
  [[0x50, 0x4b, 0x03, 0x04], "is a zip archive"],
];

/** Tell whether a file is Parquet; refuse what is neither that nor JSON lines. */
export async function isParquet(file) {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const begins = (start) => start.every((byte, at) => head[at] === byte);
  if (begins([0x50, 0x41, 0x52, 0x31])) return true;
  for (const [start, what] of STARTS) {
    if (begins(start)) throw new Error(`${file.name} ${what}: unpack it first.`);
  }
  if (!file.size) throw new Error(`${file.name} is empty.`);
  return false;
}

/**
 * Score every line that is not blank, from where an earlier call ended.
 *
 * @param {import("./service.js").Service} service
 * @param {Blob} file JSON lines.
 * @param {{max_body_bytes: number}} limits
 * @param {object[]} rows Gets one a line, as they are scored: `start`, `end`, `rate`, `branches`, `steps`, `error`.
 * @param {(share: number, rows: number) => void} progress Called as rows are scored.
 * @param {AbortSignal} signal
 */
export async function scoreFile(service, file, limits, rows, progress, signal) {
  const mark = await markLength(file);
  const running = [];
  const finish = async () => {
    const scored = await running.shift();
    signal.throwIfAborted(); // Another call may have gone on with these rows.
    for (const row of scored) rows.push(row);
    progress(rows.at(-1).end / file.size, rows.length);
  };
  try {
    for await (const group of inGroups(findLines(file, rows.at(-1)?.end ?? 0), LINES, Math.min(BYTES, limits.max_body_bytes))) {
      const scored = scoreGroup(service, file, group, mark, limits.max_body_bytes, signal);
      scored.catch(() => {}); // It is met when its turn comes.
      running.push(scored);
      if (running.length >= AHEAD) await finish();
    }
    while (running.length) await finish();
  } finally {
    await Promise.allSettled(running);
  }
}

async function scoreGroup(service, file, group, mark, mostBytes, signal) {
  const [first, last] = [group[0], group.at(-1)];
  const size = last.end - first.start;
  if (group.length === 1 && size > mostBytes) {
    const error = `the line has ${bytes(size)}, and this service takes at most ${bytes(mostBytes)}`;
    return [row(first, { error })];
  }
  const results = await service.scoreLines(file.slice(first.start || mark, last.end), signal);
  if (results.length !== group.length) {
    throw new Error(`The service gave ${results.length} results for ${group.length} lines.`);
  }
  return group.map((line, at) => row(line, results[at]));
}

function row({ start, end }, result) {
  const { branch_rate: rate = null, branch_count: branches = null, step_count: steps = null, error = null } = result;
  return { start, end, rate, branches, steps, error };
}
