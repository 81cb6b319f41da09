/** What kind a step is at a threshold, counted as the service counts. */

export const BRANCH_KINDS = ["alternative", "backtrack", "restart"];

/**
 * @param {{probability: number, kind_probabilities: Record<string, number>}} step
 * @param {number} threshold
 * @returns {string} `convergent` below the threshold, else the most probable of the kinds that branch.
 */
export function kindAt(step, threshold) {
  // The service compares in single precision.
  if (step.probability < Math.fround(threshold)) return "convergent";
  const of = step.kind_probabilities;
  return BRANCH_KINDS.reduce((best, kind) => (of[kind] > of[best] ? kind : best));
}

/**
 * @param {string[]} kinds The kind of each step.
 * @returns {Record<string, number>} How many steps are of each kind.
 */
export function countKinds(kinds) {
  const counts = { convergent: 0, alternative: 0, backtrack: 0, restart: 0 };
  for (const kind of kinds) counts[kind] += 1;
  return counts;
}
