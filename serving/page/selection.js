/** Which rows to keep, decided as the service and the command line decide. */

/**
 * The lowest rate up to which at least a fraction of the rates lies.
 *
 * @param {number[]} sorted Ascending, at least one.
 * @param {number} keep Above 0, at most 1.
 */
export function rateAtFraction(sorted, keep) {
  // Rounding first: 0.55 * 20 is 11.000000000000002 in floating point.
  const wanted = Math.max(1, Math.ceil(Math.round(keep * sorted.length * 1e6) / 1e6));
  return sorted[wanted - 1];
}

/** The rates of the rows that have one, ascending. */
export const sortedRates = (rows) => rows.flatMap(({ rate }) => (rate === null ? [] : [rate])).sort((a, b) => a - b);

/** Whether a row is kept. */
export const keeps = (row, maxRate, keepUnscored) => (row.rate === null ? keepUnscored : row.rate <= maxRate);

/** The rows that have a rate, the most branching first, each with its number from 1. */
export const mostBranchingFirst = (rows) =>
  rows
    .map((row, at) => ({ ...row, number: at + 1 }))
    .filter(({ rate }) => rate !== null)
    .sort((a, b) => b.rate - a.rate);
