"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { Detector } = require("../../../dist/detector/detector.js");
const { SurvivalTally } = require("../../../dist/detector/survival-tally.js");
const { observations } = require("./stream.js");

/** Stack 0 is [10, 11, 12], stack 1 is [10, 13]: root to leaf. */
const STACKS = { candidatesOf: (stack) => (stack === 0 ? [10, 11, 12] : [10, 13]) };
const ROUTES = ["(other)", "GET /a", "GET /b"].map((name) => ({ name, method: "GET", template: name }));
const INTERVAL_BYTES = 1_000_000;
const SIZE_BYTES = 1_000;
/** Bytes that one sample of that size stands for: about the interval. */
const SAMPLE_BYTES = SIZE_BYTES / -Math.expm1(-SIZE_BYTES / INTERVAL_BYTES);

function sample(key, { born = 1_000, route = 1, stack = 0, kind = "request" } = {}) {
  return { key, bornMillis: born, kind, route, stack, sizeBytes: SIZE_BYTES };
}

function tallyOf(...steps) {
  const tally = new SurvivalTally(STACKS);
  tally.observe(observation({ newRoutes: ROUTES }));
  for (const step of steps) tally.observe(observation(step));
  return tally;
}

function observation(parts) {
  return { timeMillis: 5_000, thread: 0, intervalBytes: INTERVAL_BYTES, ...parts };
}

const seriesOf = (tally, owner, site = null) =>
  tally.totals().find((totals) => totals.owner === owner && totals.site === site);

const closeTo = (value, expected) => assert.ok(Math.abs(value / expected - 1) < 1e-9, `${value} is not ${expected}`);

describe("totals of survivals", () => {
  it("count a cohort once, however many of its samples mature, and freed when half of them are", () => {
    const tally = tallyOf({
      matured: [sample("0.1.a"), sample("0.1.b"), sample("0.1.c"), sample("0.1.d", { born: 2_000 })],
    });
    assert.equal(seriesOf(tally, "route:1").maturedCohorts, 2);
    closeTo(seriesOf(tally, "route:1").retainedBytes, 4 * SAMPLE_BYTES);
    tally.observe(observation({ freed: ["0.1.a"] }));
    assert.equal(seriesOf(tally, "route:1").freedCohorts, 0, "one of three");
    tally.observe(observation({ freed: ["0.1.b"] }));
    assert.equal(seriesOf(tally, "route:1").freedCohorts, 1);
    tally.observe(observation({ freed: ["0.1.c", "0.1.d", "0.1.unknown"] }));
    const { freedCohorts, freedBytes, matureBytes, retainedBytes } = seriesOf(tally, "route:1");
    assert.equal(freedCohorts, 2);
    closeTo(freedBytes, 4 * SAMPLE_BYTES);
    closeTo(retainedBytes, 4 * SAMPLE_BYTES);
    assert.ok(matureBytes < 1);
  });

  it("give the sampling variance of what was retained", () => {
    const tally = tallyOf({ matured: [sample("0.1.a")] });
    const p = -Math.expm1(-SIZE_BYTES / INTERVAL_BYTES);
    closeTo(seriesOf(tally, "route:1").retainedVarianceBytes2, (SIZE_BYTES ** 2 * (1 - p)) / p ** 2);
  });

  it("count a death where the survival was counted, also after the site has got a series of its own", () => {
    const tally = tallyOf({ matured: [sample("0.1.a")] });
    tally.follow([{ owner: "route:1", site: 12, frame: 11 }], 6_000);
    tally.observe(observation({ matured: [sample("0.1.b", { born: 2_000 })], freed: ["0.1.a"] }));
    closeTo(seriesOf(tally, "route:1").freedBytes, SAMPLE_BYTES);
    assert.equal(seriesOf(tally, "route:1", 12).freedBytes, 0);
    closeTo(seriesOf(tally, "route:1", 12).retainedBytes, SAMPLE_BYTES);
    assert.equal(seriesOf(tally, "route:1", 12).sinceMillis, 6_000);
  });

  it("give a sample to the deepest site on its stack, and to one only", () => {
    const tally = tallyOf();
    tally.follow(
      [
        { owner: "route:1", site: 10, frame: 10 },
        { owner: "route:1", site: 12, frame: 12 },
        { owner: "route:2", site: 13, frame: 13 },
      ],
      6_000,
    );
    tally.observe(observation({ matured: [sample("0.1.a"), sample("0.1.b", { stack: 1 })] }));
    closeTo(seriesOf(tally, "route:1", 12).retainedBytes, SAMPLE_BYTES);
    closeTo(seriesOf(tally, "route:1", 10).retainedBytes, SAMPLE_BYTES);
    assert.equal(seriesOf(tally, "route:2", 13).retainedBytes, 0);
    assert.equal(seriesOf(tally, "route:1"), undefined);
  });

  it("end the series of a site that is no longer shown, and go on with it when it comes back", () => {
    const tally = tallyOf();
    const site = { owner: "route:1", site: 12, frame: 12 };
    tally.follow([site], 6_000);
    tally.observe(observation({ matured: [sample("0.1.a")] }));
    tally.follow([], 7_000);
    assert.equal(seriesOf(tally, "route:1", 12), undefined);
    tally.observe(observation({ matured: [sample("0.1.b")] }));
    closeTo(seriesOf(tally, "route:1").retainedBytes, SAMPLE_BYTES);
    tally.follow([site], 8_000);
    closeTo(seriesOf(tally, "route:1", 12).retainedBytes, SAMPLE_BYTES);
  });

  it("take the samples of an ended thread out of what lives, without calling them freed", () => {
    const tally = tallyOf({ matured: [sample("1.1.a"), sample("10.1.b")] }, { thread: 1, restarted: true });
    closeTo(seriesOf(tally, "route:1").matureBytes, SAMPLE_BYTES);
    assert.equal(seriesOf(tally, "route:1").freedBytes, 0);
    tally.observe(observation({ freed: ["1.1.a"] }));
    assert.equal(seriesOf(tally, "route:1").freedBytes, 0);
  });

  it("add a route that turns out to be another one to that one", () => {
    const tally = tallyOf(
      {
        matured: [sample("0.1.a", { route: 2 })],
        requests: [
          [5_000, 1, 3],
          [5_000, 2, 4],
        ],
      },
      { routeAliases: [[2, 1]] },
      { freed: ["0.1.a"], requests: [[5_000, 2, 1]] },
    );
    assert.equal(seriesOf(tally, "route:2"), undefined);
    closeTo(seriesOf(tally, "route:1").freedBytes, SAMPLE_BYTES);
    assert.equal(seriesOf(tally, "route:1").freedCohorts, 1);
    assert.deepEqual(
      tally.exposure().map(({ route, requestCount }) => [route.name, requestCount]),
      [["GET /a", 8]],
    );
  });

  it("say what was told of a route before it became another one, and only that", () => {
    const tally = tallyOf({ matured: [sample("0.1.a", { route: 2 })], requests: [[5_000, 2, 4]] });
    tally.noteTold();
    tally.observe(observation({ matured: [sample("0.1.b", { route: 2 })], requests: [[5_000, 2, 3]] }));
    tally.observe(observation({ routeAliases: [[2, 1]] }));
    const { retainedBytes, movedIn } = seriesOf(tally, "route:1");
    closeTo(retainedBytes, 2 * SAMPLE_BYTES);
    closeTo(movedIn.retainedBytes, SAMPLE_BYTES);
    assert.equal(movedIn.maturedCohorts, 1);
    const [{ requestCount, movedInCount }] = tally.exposure();
    assert.deepEqual([requestCount, movedInCount], [7, 4]);
    tally.noteTold();
    tally.observe(observation({ routeAliases: [[1, 0]] }));
    closeTo(seriesOf(tally, "route:0").movedIn.retainedBytes, 2 * SAMPLE_BYTES);
    assert.equal(tally.exposure()[0].movedInCount, 7);
  });

  it("name owners without a route by their kind, and background work by its route", () => {
    const tally = tallyOf({
      matured: [sample("0.1.a", { kind: "background", route: -1 }), sample("0.1.b", { kind: "background-of" })],
    });
    assert.equal(seriesOf(tally, "kind:background").route, null);
    assert.equal(seriesOf(tally, "route:1").route.name, "GET /a");
  });

  it("stay bounded in routes; the rest is (other), but for a route with a site", () => {
    const tally = tallyOf();
    const routes = Array.from({ length: 500 }, (_, index) => ({ name: `r${index}`, method: null, template: null }));
    tally.observe(observation({ newRoutes: routes, requests: routes.map((_, index) => [5_000, index + 3, 1]) }));
    assert.equal(tally.exposure().length, 101);
    const other = tally.exposure().find(({ route }) => route.name === "(other)");
    assert.equal(other.requestCount, 400);
    tally.follow([{ owner: "route:450", site: 12, frame: 12 }], 6_000);
    tally.observe(observation({ requests: [[6_000, 450, 5]], matured: [sample("0.1.a", { route: 450 })] }));
    assert.equal(tally.exposure().find(({ route }) => route.name === "r447").requestCount, 5);
    closeTo(seriesOf(tally, "route:450", 12).retainedBytes, SAMPLE_BYTES);
  });

  it("count a site of many routes apart on each of them, and nowhere else", () => {
    const tally = tallyOf();
    tally.follow([{ owner: "routes", site: 12, frame: 12 }], 6_000);
    tally.observe(
      observation({
        matured: [sample("0.1.a"), sample("0.1.b", { route: 2 }), sample("0.1.c", { kind: "background", route: -1 })],
      }),
    );
    const sites = tally.totals().map(({ owner, site }) => `${owner} ${site}`);
    assert.deepEqual(sites.sort(), ["kind:background null", "route:1 12", "route:2 12"]);
    tally.follow([], 7_000);
    assert.ok(tally.totals().every(({ site }) => site === null));
  });

  it("count samples that cannot be followed", () => {
    const many = Array.from({ length: 80_010 }, (_, index) => sample(`0.1.${index}`));
    assert.equal(tallyOf({ matured: many }).droppedCount, 10);
  });
});

describe("the summary of a detector", () => {
  const watched = (lifeSeconds, seconds) => {
    const detector = new Detector({ horizonMillis: 30_000, windowMillis: 250, applicationRoot: "/srv/app" });
    detector.tally();
    for (const observed of observations({ lifeSeconds, seconds })) detector.observe(observed);
    return detector;
  };

  it("names the leaking site with its evidence and verdict", () => {
    const detector = watched(() => Number.POSITIVE_INFINITY, 120);
    const { sites, headroomBytes } = detector.summary(20, new Set());
    assert.equal(sites.length, 1);
    const [site] = sites;
    assert.equal(site.verdict, "leak");
    assert.equal(site.route.name, "GET /leak/:id");
    assert.deepEqual(site.siteFunctions.at(-1), site.site.function);
    assert.ok(site.lnE > site.lnThreshold);
    assert.equal(headroomBytes, 0.9 * 2e9 - 20e6);
    assert.deepEqual(detector.summary(0, new Set()).sites, []);
  });

  it("names a candidate before there is a verdict: a fleet adds up small evidence", () => {
    const detector = watched(() => Number.POSITIVE_INFINITY, 20);
    const [candidate] = detector.summary(20, new Set()).sites;
    assert.equal(candidate.verdict, null);
    assert.ok(candidate.lnE > 3 && candidate.lnE < candidate.lnThreshold);
  });

  it("is empty where everything is let go", () => {
    const detector = watched(() => 8, 120);
    assert.deepEqual(detector.summary(20, new Set()).sites, []);
  });
});
