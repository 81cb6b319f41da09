/** The lines of a file as ranges of its bytes: the file itself stays where it is. */

const SLICE = 4 << 20;
const NEWLINE = 10;
const MARK = [0xef, 0xbb, 0xbf];

/** What the service, too, takes for blank: tab, line feed, vertical tab, form feed, carriage return, space. */
const isBlank = (byte) => byte === 32 || (byte >= 9 && byte <= 13);

/**
 * Find the lines of a file that are not blank.
 *
 * @param {Blob} file
 * @param {number} from Where a line begins, to look from there on.
 * @returns {AsyncGenerator<{start: number, end: number}>} `end` is behind the line feed.
 */
export async function* findLines(file, from) {
  let start = from;
  let blank = true;
  for (let base = from; base < file.size; base += SLICE) {
    const bytes = new Uint8Array(await file.slice(base, base + SLICE).arrayBuffer());
    for (let at = 0; at < bytes.length; at += 1) {
      if (bytes[at] === NEWLINE) {
        const end = base + at + 1;
        if (!blank) yield { start, end };
        start = end;
        blank = true;
      } else if (blank && !isBlank(bytes[at])) {
        blank = false;
      }
    }
  }
  if (!blank) yield { start, end: file.size };
}

/** How many bytes a byte order mark takes at a file's start. */
export async function markLength(file) {
  const head = new Uint8Array(await file.slice(0, MARK.length).arrayBuffer());
  return MARK.every((byte, at) => head[at] === byte) ? MARK.length : 0;
}

/**
 * Gather lines into groups that follow each other in the file.
 *
 * @param {AsyncIterable<{start: number, end: number}>} lines
 * @param {number} mostLines
 * @param {number} mostBytes A single line may have more.
 * @returns {AsyncGenerator<{start: number, end: number}[]>}
 */
export async function* inGroups(lines, mostLines, mostBytes) {
  let group = [];
  for await (const line of lines) {
    if (group.length && (group.length >= mostLines || line.end - group[0].start > mostBytes)) {
      yield group;
      group = [];
    }
    group.push(line);
  }
  if (group.length) yield group;
}

/**
 * Put lines of a file together as they stand in it, byte for byte.
 *
 * @param {Blob} file
 * @param {{start: number, end: number}[]} lines Ascending.
 * @returns {Blob}
 */
export function joined(file, lines) {
  const parts = [];
  for (let at = 0; at < lines.length; ) {
    const { start } = lines[at];
    let { end } = lines[at];
    for (at += 1; at < lines.length && lines[at].start === end; at += 1) end = lines[at].end;
    parts.push(file.slice(start, end));
  }
  return new Blob(parts, { type: "application/x-ndjson" });
}
