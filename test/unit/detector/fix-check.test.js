"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { binomialCdf, rateRatioInterval } = require("../../../dist/detector/binomial.js");
const { checkFix, looksDue } = require("../../../dist/detector/fix-check.js");
const { fixQuestionOf, fixText, withFix } = require("../../../dist/detector/fix-question.js");
const { FINDING } = require("../../harness/a-finding.js");
const { assertFinding } = require("../../harness/finding-schema.js");
const { poisson, random } = require("./stream.js");

/** A build's side: each surviving cohort stands for 1,000 bytes. */
function side(buildId, exposure, survivors, bytesEach = 1_000) {
  const bytes = survivors * bytesEach;
  return { buildId, exposure, survivors, bytes, varianceBytes2: survivors * bytesEach ** 2, lives: 1 };
}

const question = (before, after, given = {}) => ({
  before,
  after,
  routeBefore: null,
  routeAfter: null,
  unit: "request",
  movedTo: null,
  ...given,
});

describe("binomial arithmetic", () => {
  it("agrees with known values", () => {
    assert.ok(Math.abs(binomialCdf(10, 0.5, 3) - 176 / 1024) < 1e-12);
    assert.ok(Math.abs(binomialCdf(5, 0.2, 0) - 0.8 ** 5) < 1e-12);
    assert.equal(binomialCdf(5, 0.2, 5), 1);
  });

  it("gives Clopper and Pearson's interval: 5 of 10 at 95 % is 0.1871 to 0.8129", () => {
    const { low, high } = rateRatioInterval(5, 1, 5, 1, 0.95);
    assert.ok(Math.abs(low - 0.1871 / 0.8129) < 2e-3);
    assert.ok(Math.abs(high - 0.8129 / 0.1871) < 2e-2);
    assert.equal(rateRatioInterval(5, 1, 0, 1, 0.95).low, 0);
    assert.equal(rateRatioInterval(0, 1, 5, 1, 0.95).high, Number.POSITIVE_INFINITY);
  });
});

describe("whether a build fixed a leak", () => {
  it("fixed: nothing more is kept, over as many requests", () => {
    const fix = checkFix(question(side("one", 1_000, 50), side("two", 1_000, 0)));
    assert.deepEqual([fix.verdict, fix.afterBytes, fix.exposureNeeded], ["fixed", 0, 0]);
    assert.ok(fix.ratioHigh < 0.2 && fix.afterBytesHigh > 0);
  });

  it("not fixed: as much is kept as before", () => {
    assert.equal(checkFix(question(side("one", 1_000, 200), side("two", 1_000, 195))).verdict, "not fixed");
  });

  it("reduced: less is kept, and not nothing", () => {
    assert.equal(checkFix(question(side("one", 1_000, 300), side("two", 1_000, 120))).verdict, "reduced");
  });

  it("reduced in bytes, where each birth window still keeps something", () => {
    const fix = checkFix(question(side("one", 1_000, 300, 5_000), side("two", 1_000, 290, 1_000)));
    assert.equal(fix.verdict, "reduced");
  });

  it("moved: the site is quiet, its route keeps as much as before", () => {
    const routeBefore = side("one", 1_000, 60);
    const quiet = question(side("one", 1_000, 50), side("two", 1_000, 0), {
      routeBefore,
      movedTo: "lib/new.js:3 keep",
    });
    const moved = checkFix({ ...quiet, routeAfter: side("two", 1_000, 60) });
    assert.deepEqual([moved.verdict, moved.movedTo], ["moved", "lib/new.js:3 keep"]);
    const healthy = checkFix({ ...quiet, routeAfter: side("two", 1_000, 10) });
    assert.deepEqual([healthy.verdict, healthy.movedTo], ["fixed", null]);
  });

  it("undecided: says at which of its looks a fix can be shown, and not before", () => {
    const before = side("one", 1_000, 26);
    const fix = checkFix(question(before, side("two", 400, 0)));
    assert.deepEqual([fix.verdict, fix.exposureNeeded], ["undecided", 600]);
    assert.equal(checkFix(question(before, side("two", 1_000, 0))).verdict, "fixed");
    assert.equal(checkFix(question(side("one", 1_000, 5), side("two", 1_000, 0))).exposureNeeded, null);
    assert.deepEqual(
      [0, 249, 250, 999, 5_000].map((exposure) => looksDue(before, { exposure })),
      [0, 0, 1, 2, 5],
    );
  });

  it("a leak with a fifth of its rate left is called fixed in at most 5 % of 1,000 runs (seed 11)", () => {
    const rnd = random(11);
    let wrong = 0;
    for (let run = 0; run < 1_000; run++) {
      const before = side("one", 1_000, poisson(60, rnd));
      const counts = [250, 250, 500, 1_000, 2_000].map((exposure) => poisson((0.2 * 60 * exposure) / 1_000, rnd));
      const looks = [250, 500, 1_000, 2_000, 4_000].map((exposure, index) =>
        side(
          "two",
          exposure,
          counts.slice(0, index + 1).reduce((sum, count) => sum + count, 0),
        ),
      );
      if (looks.some((after) => checkFix(question(before, after)).verdict === "fixed")) wrong++;
    }
    assert.ok(wrong <= 50, `${wrong} of 1,000`);
  });

  it("a fix is called fixed, and never not fixed, in 500 runs in which a hundredth is left (seed 12)", () => {
    const rnd = random(12);
    for (let run = 0; run < 500; run++) {
      const fix = checkFix(question(side("one", 1_000, 150 + poisson(50, rnd)), side("two", 2_000, poisson(4, rnd))));
      assert.equal(fix.verdict, "fixed", `run ${run}`);
    }
  });
});

describe("a finding and the lives of two builds", () => {
  const site = { package: "app", file: "lib/metrics.js", function: "recordTimer", holder: null, functions: [] };
  const row = (given) => ({ kind: "request", route: "POST /report", site, ...side("", 1_000, 50), ...given });
  const lives = [
    { opening: { buildId: "one" }, series: [row(), row({ site: null })] },
    { opening: { buildId: "one" }, series: [row()] },
    { opening: { buildId: "two" }, series: [row({ site: null, survivors: 3, bytes: 10 })] },
  ];

  it("are joined by site and route; no sample at the site counts as the route's requests without any", () => {
    const { before, after, routeAfter, unit } = fixQuestionOf(FINDING, lives, "one", "two");
    assert.deepEqual([before.exposure, before.survivors, before.lives], [2_000, 100, 2]);
    assert.deepEqual([after.exposure, after.survivors, after.bytes], [1_000, 0, 0]);
    assert.deepEqual([routeAfter.bytes, unit], [10, "request"]);
  });

  it("give a whole record that says so in words", () => {
    const fix = checkFix(fixQuestionOf(FINDING, lives, "one", "two"));
    const time = "2026-11-26T10:00:00.000Z";
    const told = withFix(FINDING, fix, { time, service: { ...FINDING.service, buildId: "two" } });
    assertFinding(told);
    assert.deepEqual([told.verdict, told.previousVerdict, told.fix.verdict], ["retracted", "leak", "fixed"]);
    assert.match(told.text, /^POST \/report at lib\/metrics\.js:12 recordTimer is fixed: 50 B\/request/);
    const unfixed = { ...fix, verdict: "not fixed" };
    assert.equal(withFix(FINDING, unfixed, { time, service: FINDING.service }).verdict, "leak");
    assert.match(
      fixText(FINDING, { ...fix, verdict: "undecided", exposureNeeded: 600 }),
      /600 more requests are needed/,
    );
  });
});
