/** Offsets of the service count code points; those of JavaScript count UTF-16 code units. */

const PAIR = /[\ud800-\udbff][\udc00-\udfff]/;

/**
 * Convert ascending offsets in code points into offsets in UTF-16 code units.
 *
 * @param {string} text The text that they point into.
 * @param {number[]} offsets Ascending, none beyond the text's end.
 * @returns {number[]}
 */
export function utf16Offsets(text, offsets) {
  if (!PAIR.test(text)) return [...offsets];
  const converted = [];
  let points = 0;
  let units = 0;
  for (const offset of offsets) {
    while (points < offset && units < text.length) {
      units += text.codePointAt(units) > 0xffff ? 2 : 1;
      points += 1;
    }
    converted.push(units);
  }
  return converted;
}
