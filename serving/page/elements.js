/** Short ways to find and make elements; all text goes in as text, never as HTML. */

export const byId = (id) => document.getElementById(id);

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Fill a description list with pairs of a name and a value. */
export function showFigures(list, figures) {
  list.replaceChildren(
    ...figures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

/** Show a message, or hide its place if there is none. */
export function showMessage(place, text) {
  place.textContent = text ?? "";
  place.hidden = !text;
}
