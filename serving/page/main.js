/** Starts the page: what runs here, the API key if one is needed, and the two panels. */

import { byId, showMessage } from "./elements.js";
import { activateFilePanel } from "./file-panel.js";
import { Service } from "./service.js";
import { activateTabs } from "./tabs.js";
import { activateTracePanel } from "./trace-panel.js";

const service = new Service();
let started = false;

async function start() {
  showMessage(byId("service-error"), null);
  try {
    const info = await service.info();
    byId("key-form").hidden = true;
    byId("model").textContent = [
      `Model ${info.model.name} ${info.model.version}, ${info.model.precision}, on ${info.device}`,
      `SHA-256 ${info.model.sha256.slice(0, 12)}`,
      `version ${info.version}`,
    ].join(" · ");
    if (started) return;
    started = true;
    filePanel.useLimits(info.limits);
    await tracePanel.scoreExample();
  } catch (error) {
    report(error, byId("service-error"));
  }
}

/** Show an error at a place of its own; ask for a key where that is what is missing. */
function report(error, place) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    byId("key-form").hidden = false;
    byId("key").focus();
    if (service.hasKey) showMessage(byId("service-error"), "This service does not know that key. Check it, and give it again.");
    return;
  }
  showMessage(place, error.message);
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  service.useKey(byId("key").value.trim());
  byId("key").value = "";
  start();
});

activateTabs(document.querySelector("[role=tablist]"));
const tracePanel = activateTracePanel(service, report);
const filePanel = activateFilePanel(service, report, (trace) => {
  byId("tab-trace").click();
  byId("tab-trace").focus();
  tracePanel.open(trace);
});
start();
