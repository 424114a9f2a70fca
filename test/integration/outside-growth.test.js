/** Real services that grow outside the JS heap are told by the level that shows it; healthy ones are not alarmed about. */
"use strict";
const assert = require("node:assert/strict");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, historyLines, jsonLines, temporaryFolder } = require("../harness/service");

const HORIZON_SECONDS = 10;

function start(ways, folder) {
  // A machine that is busy with other tests makes slow captures; they must not be held back here.
  const env = {
    LEAK_AGENT_DIR: folder,
    TMPDIR: folder,
    LEAK_AGENT_HORIZON: `${HORIZON_SECONDS}s`,
    LEAK_AGENT_LOG: "off",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    LEAK_AGENT_CPU_BUDGET: "10",
  };
  return new Service(["-r", PRELOAD, join(APPS, "outside-service.js"), ...ways], { env, deadlineMillis: 150_000 });
}

function findings(folder) {
  const file = join(folder, "findings.jsonl");
  return existsSync(file) ? jsonLines(file) : [];
}

/** What the level alone has raised an alarm about, the first alarm of each signal. */
function alarms(folder) {
  const found = new Map();
  for (const finding of findings(folder)) {
    const isAlarm = finding.verdict === "leak" || finding.verdict === "urgent";
    if (isAlarm && finding.outside !== undefined && !found.has(finding.outside.signal))
      found.set(finding.outside.signal, finding);
  }
  return found;
}

/** Observed life in horizons. */
function horizonsLived(folder) {
  const times = historyLines(folder).flatMap((line) => (line.timeMillis === undefined ? [] : [line.timeMillis]));
  return times.length === 0 ? 0 : (times.at(-1) - times[0]) / (HORIZON_SECONDS * 1_000);
}

test("Buffers, sockets and modules that are kept: each is told by its own signal, and no line is blamed", async (context) => {
  const folder = temporaryFolder(context);
  const service = start(["buffers", "sockets", "modules"], folder);
  const perSecond = { "array-buffers": 20 * 65_536, "open-files": 20, modules: 40 }; // A connection has two ends here.
  const signals = Object.keys(perSecond).sort();
  try {
    await service.until(() => signals.every((signal) => alarms(folder).has(signal)), `alarms about ${signals}`);
  } finally {
    await service.stop();
  }
  assert.deepEqual([...alarms(folder).keys()].sort(), signals);
  for (const [signal, finding] of alarms(folder)) {
    const { outside } = finding;
    assert.equal(finding.evidence.method, "level");
    assert.deepEqual(finding.path, []);
    assert.equal(finding.appFrame, null);
    assert.equal(finding.site.line, 0);
    assert.ok(outside.perHourLow > 0 && outside.level > outside.startLevel);
    const ratio = outside.perHour / 3_600 / perSecond[signal];
    assert.ok(ratio > 0.6 && ratio < 1.4, `${signal}: ${ratio} of the true growth`);
  }
  const { explained, text } = alarms(folder).get("array-buffers");
  assert.ok(explained.rssGrowthRatio > 0.4, text);
});

test("a ring of Buffers, garbage Buffers and a pool of connections do not alarm in six horizons", async (context) => {
  const folder = temporaryFolder(context);
  const service = start(["ring", "garbage", "pool"], folder);
  try {
    await service.until(() => horizonsLived(folder) >= 6, "six horizons were seen");
  } finally {
    await service.stop();
  }
  assert.deepEqual([...alarms(folder).keys()], []);
});
