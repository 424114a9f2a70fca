/** Real services that grow outside the JS heap are told by the level that shows it; healthy ones are not alarmed about. */
"use strict";
const assert = require("node:assert/strict");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, historyLines, jsonLines, temporaryFolder } = require("../harness/service");

const HORIZON_SECONDS = 10;

function start(way, folder) {
  const env = { LEAK_AGENT_DIR: folder, LEAK_AGENT_HORIZON: `${HORIZON_SECONDS}s`, LEAK_AGENT_LOG: "off" };
  return new Service(["-r", PRELOAD, join(APPS, "outside-service.js"), way], { env, deadlineMillis: 150_000 });
}

function findings(folder) {
  const file = join(folder, "findings.jsonl");
  return existsSync(file) ? jsonLines(file) : [];
}

const outside = (finding) => finding.outside !== undefined;
const isAlarm = ({ verdict }) => verdict === "leak" || verdict === "urgent";

/** Observed life in horizons. */
function horizonsLived(folder) {
  const times = historyLines(folder).flatMap((line) => (line.timeMillis === undefined ? [] : [line.timeMillis]));
  return times.length === 0 ? 0 : (times.at(-1) - times[0]) / (HORIZON_SECONDS * 1_000);
}

test("what grows outside the heap", { concurrency: true }, async (context) => {
  const cases = [];
  for (const [way, signal] of [
    ["buffers", "array-buffers"],
    ["sockets", "open-files"],
    ["modules", "modules"],
  ]) {
    cases.push(
      context.test(`${way}: the signal is ${signal}, and no line is blamed`, async (own) => {
        const folder = temporaryFolder(own);
        const service = start(way, folder);
        own.after(() => service.stop());
        const finding = await service.until(
          () => findings(folder).find((record) => record.outside?.signal === signal && isAlarm(record)),
          `an alarm about ${signal}`,
        );
        await service.stop();
        assert.equal(finding.evidence.method, "level");
        assert.deepEqual(finding.path, []);
        assert.equal(finding.appFrame, null);
        assert.equal(finding.site.line, 0);
        assert.ok(finding.outside.perHourLow > 0 && finding.outside.level > finding.outside.startLevel);
        const perSecond = finding.outside.perHour / 3_600;
        const most = { "array-buffers": 20 * 65_536, "open-files": 20, modules: 40 }[signal];
        assert.ok(perSecond > 0.6 * most && perSecond < 1.3 * most, `${perSecond} a second, ${most} expected`);
        if (signal === "array-buffers") assert.ok(finding.explained.rssGrowthRatio > 0.5, finding.text);
        const others = findings(folder)
          .filter((record) => outside(record) && isAlarm(record))
          .map((f) => f.outside.signal);
        assert.deepEqual([...new Set(others)], [signal]);
      }),
    );
  }
  for (const way of ["ring", "garbage", "pool"]) {
    cases.push(
      context.test(`healthy: ${way} does not alarm in six horizons`, async (own) => {
        const folder = temporaryFolder(own);
        const service = start(way, folder);
        own.after(() => service.stop());
        await service.until(() => horizonsLived(folder) >= 6, "six horizons were seen");
        await service.stop();
        assert.deepEqual(
          findings(folder).filter((record) => outside(record) && isAlarm(record)),
          [],
        );
      }),
    );
  }
  await Promise.all(cases);
});
