/** Starts test/apps/deployed-service.js with the agent, and reads what its lives have found. */
"use strict";
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { APPS, PRELOAD, Service, jsonLines } = require("./service");

const APP = join(APPS, "deployed-service.js");
const DEADLINE_MILLIS = 150_000;

/** Machines that are busy with other tests make slow captures: they must not be held back here. */
function environment(folder, { build = "one", horizon = "10s", env = {} } = {}) {
  return {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: horizon,
    LEAK_AGENT_SAMPLING_INTERVAL: "16385",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    LEAK_AGENT_BUILD_ID: build,
    ...env,
  };
}

function live(folder, { args = [], ...options } = {}) {
  return new Service(["-r", PRELOAD, ...args, APP], {
    deadlineMillis: DEADLINE_MILLIS,
    env: environment(folder, options),
  });
}

function findings(folder) {
  const file = join(folder, "findings.jsonl");
  return existsSync(file) ? jsonLines(file) : [];
}

module.exports = { APP, environment, findings, live };
