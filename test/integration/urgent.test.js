/** A service that really nears its heap limit is told so while there is time, and the forecast is held against its death. */
"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { readLives } = require("../../dist/export/life-file");
const { findings, live } = require("../harness/deployed-service");
const { assertFinding } = require("../harness/finding-schema");
const { temporaryFolder } = require("../harness/service");

test("a leak is urgent before the heap limit ends the process, about when it said it would", async (context) => {
  const folder = temporaryFolder(context);
  const service = live(folder, {
    horizon: "20s",
    env: { LEAK_COUNT: "60", LEAK_AGENT_CPU_BUDGET: "10" },
    args: ["--max-old-space-size=100"],
  });
  context.after(() => service.stop());
  const isUrgent = ({ verdict, route }) => verdict === "urgent" && route?.name === "GET /leak";
  const urgent = await service.until(() => findings(folder).find(isUrgent), "the leak is urgent");
  const toldMillis = Date.now();
  assertFinding(urgent);
  assert.equal(urgent.site.function, "remember");
  assert.equal(urgent.forecast.limit, "heap");
  await service.ended;
  assert.deepEqual(readLives(folder)[0].lastWord, { type: "heap-limit" });
  const lastedSeconds = (Date.now() - toldMillis) / 1_000;
  const saidSeconds = urgent.forecast.hoursP50 * 3_600;
  context.diagnostic(
    `told ${lastedSeconds.toFixed(0)} s before the end, for which it said ${saidSeconds.toFixed(0)} s`,
  );
  assert.ok(lastedSeconds > 2, "told before the last moment");
});
