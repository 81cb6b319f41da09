"use strict";
// What a mark of a chart stands for is in its label for screen readers; with a pointer it is shown beside it.
const tip = document.getElementById("tip");
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest("svg [aria-label][aria-roledescription]");
  const label = mark && mark.getAttribute("aria-roledescription") !== "axis" ? mark.getAttribute("aria-label") : "";
  tip.hidden = !label;
  if (!label) return;
  tip.textContent = label;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${Math.max(4, event.clientY - tip.offsetHeight - 10)}px`;
});

const slider = document.getElementById("keep");
if (slider) {
  const { plans, edges, groups } = JSON.parse(document.getElementById("plans").textContent);
  const bars = document.querySelectorAll("#rates svg .mark-rect.role-mark > path");
  const borderline = document.querySelectorAll("[data-keep]");
  const integer = new Intl.NumberFormat("en");
  const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)}%`);
  const show = (id, text) => {
    document.getElementById(id).textContent = text;
  };
  const update = () => {
    const at = 100 - Number(slider.value);
    const plan = plans[at];
    show("keep-shown", `${slider.value}%`);
    show("max-rate", plan.max_rate.toFixed(4));
    show("kept", integer.format(plan.kept));
    show("dropped", integer.format(plan.dropped));
    show("tokens", percent(plan.time_saved));
    show("overlap", percent(plan.length_overlap));
    show("keep-option", (Number(slider.value) / 100).toString());
    slider.setAttribute("aria-valuetext", `keep ${slider.value} percent, drop ${plan.dropped} rows`);
    bars.forEach((bar, index) => bar.classList.toggle("beyond", edges[index] > plan.max_rate));
    for (const [id, dropped] of Object.entries(groups)) show(id, integer.format(dropped[at]));
    const fractions = [...borderline].map((one) => Math.abs(Number(one.dataset.keep) - slider.value / 100));
    const closest = fractions.indexOf(Math.min(...fractions));
    borderline.forEach((one, index) => {
      one.hidden = index !== closest;
    });
  };
  slider.addEventListener("input", update);
  update();
}
