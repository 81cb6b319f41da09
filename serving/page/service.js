/** Requests to the service that serves this page. */

const TRIES = 5;
/** Errors that pass, and the seconds to wait where no header says so. */
const PASSING = ["queue_timeout", "encoder_down"];
const PASSING_SECONDS = 5;
const NDJSON = "application/x-ndjson";
export const PARQUET = "application/vnd.apache.parquet";

/** A request that failed; its message is for people. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {number} status The HTTP status, 0 where no answer came.
   * @param {number} wait Seconds after which to try again, 0 where that makes no sense.
   */
  constructor(message, status, wait = 0) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

export class Service {
  #key = "";

  /** @param {string} key Goes with every request from now on; held in memory only. */
  useKey(key) {
    this.#key = key;
  }

  /** Whether a key goes with requests. */
  get hasKey() {
    return this.#key !== "";
  }

  /** What runs here: see `GET /v1/info`. */
  async info() {
    return (await this.#request("v1/info", {})).json();
  }

  /** Score one text, with its steps; returns the result and the model. */
  async scoreTrace(text, asIs, signal) {
    const body = JSON.stringify({ traces: [text], steps: true, as_is: asIs });
    const headers = { "Content-Type": "application/json" };
    const answer = await this.#request("v1/score", { method: "POST", body, headers, signal });
    const { model, results } = await read(answer, "json");
    return { model, result: results[0] };
  }

  /** Return the reasoning of a line of JSON; where a row has several, that which branches most. */
  async reasoningOf(line, signal) {
    const [result] = await this.scoreLines(line, signal, "?texts=true");
    if (result.error) throw new Error(`This row has no score: ${result.error}.`);
    const rates = result.branch_rates ?? [result.branch_rate];
    return result.texts[rates.indexOf(Math.max(...rates))];
  }

  /** Score lines of JSON; waits and tries again while the service is busy. Returns one result a line. */
  async scoreLines(lines, signal, query = "") {
    const headers = { "Content-Type": NDJSON };
    for (let left = TRIES; ; left -= 1) {
      try {
        const answer = await this.#request(`v1/score${query}`, { method: "POST", body: lines, headers, signal });
        const text = await readLines(answer);
        return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
      } catch (error) {
        if (!error.wait || left <= 1) throw error;
        await pause(1000 * error.wait, signal);
      }
    }
  }

  /** Turn a Parquet file into lines of JSON, one a row. */
  async rows(file, signal) {
    const headers = { "Content-Type": PARQUET };
    return read(await this.#request("v1/rows", { method: "POST", body: file, headers, signal }), "blob");
  }

  async #request(path, options) {
    const headers = { ...options.headers };
    if (this.#key) headers.Authorization = `Bearer ${this.#key}`;
    let answer;
    try {
      answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin" });
    } catch (error) {
      throw unreachable(error);
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    const wait = [429, 503].includes(answer.status) ? Number(answer.headers.get("Retry-After")) || 1 : 0;
    const message = error ? sentence(error) : `The service answered with status ${answer.status}.`;
    throw new ServiceError(message, answer.status, wait);
  }
}

/** Messages of the service begin with a small letter and end without a full stop. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

async function read(answer, kind) {
  try {
    return await answer[kind]();
  } catch (error) {
    throw unreachable(error);
  }
}

/** Read lines as text. Where they break off, the last one may be an error that the service sent. */
async function readLines(answer) {
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    throw (error.name !== "AbortError" && sentError(text)) || unreachable(error);
  }
}

/** Return the error in the last whole line of results that broke off, or null. */
function sentError(text) {
  const end = text.lastIndexOf("\n");
  if (end < 0) return null;
  const last = JSON.parse(text.slice(text.lastIndexOf("\n", end - 1) + 1, end));
  if (!last.error_type || !("detail" in last)) return null; // The error of a row has no detail.
  return new ServiceError(sentence(last.error), 0, PASSING.includes(last.error_type) ? PASSING_SECONDS : 0);
}

function unreachable(error) {
  if (error.name === "AbortError") return error;
  return new ServiceError("The service does not answer. See whether it still runs, then try again.", 0);
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
