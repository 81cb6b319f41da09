/** Numbers as the page writes them. */

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);
export const rate = (number) => number.toFixed(3);
export const percent = (share) => `${(100 * share).toFixed(share > 0.001 && share < 0.1 ? 1 : 0)} %`;
export const plural = (number, one, several = `${one}s`) => `${count(number)} ${number === 1 ? one : several}`;

export function bytes(number) {
  if (number >= 1e9) return `${(number / 1e9).toFixed(number % 1e9 ? 1 : 0)} GB`;
  if (number >= 1e6) return `${(number / 1e6).toFixed(number % 1e6 ? 1 : 0)} MB`;
  return number >= 1e3 ? `${Math.round(number / 1e3)} kB` : plural(number, "byte");
}
