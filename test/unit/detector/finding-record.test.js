"use strict";
const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { test } = require("node:test");
const { Detector } = require("../../../dist/detector/detector");
const { toFinding } = require("../../../dist/detector/finding-record");
const { bytes, duration } = require("../../../dist/detector/words");
const { observations } = require("./stream");

function leakTransition() {
  const detector = new Detector({ horizonMillis: 30_000, windowMillis: 250, applicationRoot: "/srv/app" });
  for (const observation of observations({ seed: 1, captureSeconds: 2, lifeSeconds: () => Number.POSITIVE_INFINITY })) {
    const leak = detector.observe(observation).find((transition) => transition.verdict === "leak");
    if (leak !== undefined) return leak;
  }
  throw new Error("the stream did not leak");
}

const context = {
  service: {
    name: "shop",
    version: "1",
    buildId: null,
    firstBuildId: null,
    instanceId: "i",
    processId: 7,
    nodeVersion: "v0",
    v8Version: "0",
  },
  agent: { version: "0", engine: "native", attribution: "exact" },
  describe: (frame) => ({
    file: frame.file.replace("/srv/app/", ""),
    package: frame.file.includes("node_modules") ? "pkg@1.2.3" : "app",
    original: frame.function === "load" ? { file: "src/data.ts", line: 88, column: 2 } : null,
    isApplication: !frame.file.includes("node_modules"),
  }),
};

test("the id is the hash of service, site and route; the site's id has no version and no line", () => {
  const transition = leakTransition();
  const finding = toFinding(transition, context);
  const expected = createHash("sha256")
    .update(["shop", finding.site.id, "GET /leak/:id"].join("\0"))
    .digest("hex")
    .slice(0, 12);
  assert.equal(finding.id, expected);
  const moved = { ...transition, site: { ...transition.site, line: 999 } };
  const path = moved.path.map((frame) => (frame === transition.site ? moved.site : frame));
  const upgraded = { ...context, describe: (frame) => ({ ...context.describe(frame), package: "pkg@9.9.9" }) };
  assert.equal(toFinding({ ...moved, path }, upgraded).site.id, finding.site.id);
  assert.notEqual(
    toFinding(transition, { ...context, describe: (f) => ({ ...context.describe(f), file: "elsewhere.js" }) }).site.id,
    finding.site.id,
  );
});

test("the text holds the route, the place, the rate and what would refute it", () => {
  const finding = toFinding(leakTransition(), context);
  assert.match(
    finding.text,
    /^GET \/leak\/:id retains about [\d.]+ (KiB|B)\/request \(95 % .+\), \d+ % of it at node_modules\/pkg\/index\.js:5 remember \[pkg@1\.2\.3\]\./,
  );
  assert.match(finding.text, /cohorts of its allocations matured/);
  assert.match(finding.text, /would refute this/);
  assert.deepEqual(finding.appFrame, { function: "load", file: "src/data.ts", line: 88 });
  assert.match(finding.nextStep, /src\/data\.ts:88/);
});

test("a growing container has no share of survivors, no age, and another end", () => {
  const transition = leakTransition();
  const { text } = toFinding({ ...transition, evidence: { ...transition.evidence, method: "ladder" } }, context);
  assert.match(text, /^GET \/leak\/:id retains about [^,]+ at node_modules/);
  assert.match(text, /A container that is still filling up would look identical; a store that .+ would refute this/);
});

test("sizes and durations are written with at most three digits and a unit", () => {
  assert.equal(bytes(24), "24 B");
  assert.equal(bytes(1_536), "1.50 KiB");
  assert.equal(bytes(7_252 * 1_024), "7.08 MiB");
  assert.equal(duration(90), "90 s");
  assert.equal(duration(219_600), "2.5 days");
});

test("a leak rejects each harmless explanation with a number; a withdrawn finding says which one fits", () => {
  const transition = leakTransition();
  const statistics = transition.alternatives.map(({ statistic }) => statistic);
  for (const statistic of [
    "lnE",
    "heldSeconds",
    "oldestAgeSeconds",
    "minQuarterRatio",
    "halfRatio",
    "survivalRatio",
    "majorGcsSurvived",
  ])
    assert.ok(statistics.includes(statistic), statistic);
  assert.deepEqual(
    transition.alternatives.filter(({ rejected }) => !rejected),
    [],
  );
  const garbage = transition.alternatives.find(({ statistic }) => statistic === "majorGcsSurvived");
  assert.ok(garbage.value >= 2, `${garbage.value}`);
  const expiry = { name: "a queue", statistic: "survivalRatio", value: 0.104, bound: 0.5, rejected: false };
  const alternatives = [{ ...garbage, rejected: false }, expiry];
  const { text } = toFinding({ ...transition, verdict: "retracted", alternatives }, context);
  assert.ok(text.includes("withdrawn, the evidence now fits a queue (survivalRatio 0.10, bound 0.50)"), text);
});
