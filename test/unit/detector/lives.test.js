"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { acrossLives, alternativesAcrossLives, growthAcrossLives } = require("../../../dist/detector/lives.js");

const HOUR = 3_600_000;
const HORIZON = 24 * HOUR;

/** A life of `hours` that begins at `at` hours; its numbers are of its later half. */
function life(
  at,
  hours,
  {
    matured = 10,
    freed = 0,
    quarters = [4, 4, 4, 4],
    residenceMillis = null,
    matureBytes = 1e6,
    bytes = 0.45 * matureBytes,
    exposure = 1_000,
    laterExposure = exposure,
  } = {},
) {
  const startMillis = at * HOUR;
  const endMillis = startMillis + hours * HOUR;
  const half = startMillis + (hours / 2) * HOUR;
  const series = {
    startMillis: half,
    endMillis,
    timeMillis: endMillis,
    exposure,
    laterExposure,
    matured,
    freed,
    quarters,
    residenceMillis,
    matureBytes,
    bytes,
  };
  return { startMillis, endMillis, series };
}

const nightly = (count, given) => Array.from({ length: count }, (_, day) => life(24 * day, 24, given));
const judge = (lives, order = 0) => acrossLives(lives.slice(0, -1), lives.at(-1), HORIZON, order);

describe("lives that are too short alone", () => {
  it("reach a leak together when three agree, the current one among them", () => {
    assert.equal(judge(nightly(1)).supportsLeak, false);
    assert.equal(judge(nightly(2)).supportsLeak, false);
    const three = judge(nightly(3));
    assert.equal(three.supportsLeak, true);
    assert.deepEqual([three.agreeingLives, three.maturedCount, three.survivorCount], [3, 30, 48]);
    assert.equal(three.heldMillis, 36 * HOUR);
    assert.ok(alternativesAcrossLives(three, HORIZON).every(({ rejected }) => rejected));
  });

  it("never speak when the current one does not agree: a fix is not judged by the build before", () => {
    const lives = [...nightly(6), life(144, 24, { matured: 2, quarters: [1, 1, 0, 0] })];
    const evidence = judge(lives);
    assert.ok(evidence.lnE > evidence.lnThreshold);
    assert.equal(evidence.supportsLeak, false);
  });

  it("must have watched for a horizon together", () => {
    const short = Array.from({ length: 6 }, (_, n) => life(4 * n, 4));
    assert.equal(judge(short).heldMillis, 12 * HOUR);
    assert.equal(judge(short).supportsLeak, false);
    assert.equal(judge(Array.from({ length: 13 }, (_, n) => life(4 * n, 4))).supportsLeak, true);
  });

  it("do not speak where the survivors fade, or come in a burst, in the lives together", () => {
    assert.equal(judge(nightly(4, { quarters: [8, 6, 3, 2] })).supportsLeak, false);
    assert.equal(judge(nightly(4, { quarters: [1, 1, 20, 1] })).supportsLeak, false);
    assert.equal(judge(nightly(4, { quarters: [2, 1, 1, 2] })).supportsLeak, true);
  });

  it("do not speak of a structure that fills anew in each life, however steady its later halves look", () => {
    assert.equal(judge(nightly(4, { bytes: 0.32e6 })).supportsLeak, false);
    assert.equal(judge(nightly(4, { bytes: 0.35e6 })).supportsLeak, true);
    const { wholeLifeRatio } = judge([...nightly(2), life(48, 2, { bytes: 0 })]);
    assert.ok(Math.abs(wholeLifeRatio - 0.45 / 0.55) < 1e-9, "the current life has not ended");
  });

  it("are not held against a leak for births at their end that cannot be judged yet", () => {
    // Two fifths of the later half are judged.
    const cut = { exposure: 400, laterExposure: 1_000 };
    const leak = judge(nightly(4, { ...cut, matureBytes: 0.7e6, bytes: 0.2e6 }));
    assert.ok(Math.abs(leak.wholeLifeRatio - 1) < 1e-9);
    assert.equal(leak.supportsLeak, true);
    // Fills in each life: 0.22 of what the earlier half brought.
    assert.equal(judge(nightly(4, { ...cut, matureBytes: 0.544e6, bytes: 0.044e6 })).supportsLeak, false);
  });

  it("do not speak of a structure that holds only its newest: what a life kept early is gone at its end", () => {
    // Entries are kept for six hours; the later half of the requests comes in the last seven, too short to see most of them go.
    const evening = (day) => {
      const { series, ...span } = life(24 * day, 24, {
        matured: 19,
        freed: 2,
        residenceMillis: 6.2 * HOUR,
        bytes: 0.93e6,
      });
      return { ...span, series: { ...series, startMillis: series.endMillis - 7 * HOUR } };
    };
    const lives = Array.from({ length: 8 }, (_, day) => evening(day));
    const evidence = judge(lives);
    assert.ok(evidence.lnE > evidence.lnThreshold);
    assert.deepEqual([evidence.agreeingLives, evidence.censoredLives], [8, 0]);
    assert.equal(evidence.supportsLeak, false);
    const open = alternativesAcrossLives(evidence, HORIZON).filter(({ rejected }) => !rejected);
    assert.deepEqual(
      open.map(({ statistic }) => statistic),
      ["stillHeldRatio"],
    );
  });

  it("speak of a leak whose rate climbs within each life, and of one that began in the course of a life", () => {
    assert.equal(judge(nightly(4, { bytes: 0.75e6 })).supportsLeak, true);
    assert.equal(judge([life(0, 24, { bytes: 1e6 }), ...nightly(5).slice(1)]).supportsLeak, true);
  });

  it("do not speak where few survivors leave open whether growth has halved", () => {
    const few = { quarters: [2, 2, 2, 1.5] };
    assert.equal(judge(nightly(3, few)).supportsLeak, false);
    assert.equal(judge(nightly(7, few)).supportsLeak, true);
  });

  it("count every death, and do not speak against lives that disagree", () => {
    assert.equal(judge(nightly(4, { matured: 10, freed: 9 })).supportsLeak, false);
    const one = life(0, 24, { matured: 6, freed: 6, matureBytes: 1e5 });
    const lives = [one, ...Array.from({ length: 3 }, (_, day) => life(24 * (day + 1), 24))];
    const evidence = judge(lives);
    assert.deepEqual([evidence.agreeingLives, evidence.dissentingLives], [3, 1]);
    assert.equal(evidence.supportsLeak, false);
    assert.equal(judge([one, ...Array.from({ length: 6 }, (_, day) => life(24 * (day + 1), 24))]).supportsLeak, true);
  });

  it("that end before things are known to go have no vote", () => {
    const long = life(0, 100, { matured: 20, freed: 4, residenceMillis: 48 * HOUR, matureBytes: 1e4 });
    const evidence = judge([long, ...Array.from({ length: 5 }, (_, day) => life(100 + 24 * day, 24))]);
    assert.equal(evidence.censoredLives, 5);
    assert.equal(evidence.supportsLeak, false);
  });

  it("that freed some, but watched for less than things are kept, have no vote", () => {
    const evening = { matured: 40, freed: 9, residenceMillis: 13 * HOUR, quarters: [10, 10, 10, 10] };
    const evidence = judge(nightly(6, evening));
    assert.deepEqual([evidence.agreeingLives, evidence.censoredLives], [0, 6]);
    assert.equal(judge(nightly(6, { ...evening, residenceMillis: 11 * HOUR })).supportsLeak, true);
    assert.equal(
      judge(nightly(6, { ...evening, freed: 4 })).supportsLeak,
      true,
      "a tenth that goes says nothing of the rest",
    );
  });

  it("say nothing while a structure is no larger than it was when it was full", () => {
    const full = life(0, 24, { matured: 20, freed: 12, residenceMillis: HOUR, matureBytes: 1e6 });
    const later = (bytes) => Array.from({ length: 8 }, (_, day) => life(24 * (day + 1), 24, { matureBytes: bytes }));
    assert.equal(judge([full, ...later(1.2e6)]).supportsLeak, false);
    assert.equal(judge([full, ...later(2e6)]).supportsLeak, true);
  });

  it("of one moment are one voice: fifty processes that warm up are no evidence", () => {
    const fleet = Array.from({ length: 50 }, (_, n) => life(n / 100, 24));
    const evidence = judge([...fleet, life(30, 24)]);
    assert.deepEqual([evidence.agreeingLives, evidence.maturedCount], [2, 20]);
    assert.equal(evidence.supportsLeak, false);
  });

  it("pay for every site that was looked at", () => {
    const few = (order) => judge(nightly(3, { matured: 6, quarters: [2, 2, 2, 2] }), order);
    assert.equal(few(0).supportsLeak, true);
    assert.equal(few(1_000).supportsLeak, false);
  });
});

describe("the rate of a leak over several lives", () => {
  const numbers = (bytes, exposure, given) => ({
    ...life(0, 24, { bytes, exposure, ...given }).series,
    varianceBytes2: (bytes / 5) ** 2,
  });
  const own = {
    bytesPerRequest: 260,
    bytesPerRequestLow: 100,
    bytesPerRequestHigh: 600,
    bytesPerHour: 26_000,
    bytesPerHourLow: 10_000,
    bytesPerHourHigh: 60_000,
    retainedBytes: 5_000,
  };

  const ofSite = { perExposure: 200, low: 100, high: 400, exposure: 100 };

  it("is that of all lives together, with an interval that many of them narrow", () => {
    const current = numbers(20_000, 100);
    const growth = growthAcrossLives(own, ofSite, new Array(9).fill(numbers(100_000, 1_000)), current);
    // 920,000 bytes in 9,100 requests at the site, which has 200 of the 260 bytes a request of the current life.
    const expected = (260 / 200) * (920_000 / 9_100);
    assert.ok(Math.abs(growth.bytesPerRequest - expected) < 1e-9, `${growth.bytesPerRequest}`);
    assert.ok(Math.abs(growth.bytesPerHour - 100 * expected) < 1e-6);
    assert.ok(growth.bytesPerRequestLow > 0.8 * expected && growth.bytesPerRequestLow < expected);
    assert.ok(growth.bytesPerRequestHigh < 1.25 * expected && growth.bytesPerRequestHigh > expected);
    assert.equal(growth.retainedBytes, 5_000);
  });

  it("has a wide interval where lives differ more than chance allows", () => {
    const lives = [50_000, 150_000, 50_000, 150_000].map((bytes) => numbers(bytes, 1_000));
    const growth = growthAcrossLives(own, ofSite, lives, numbers(100_000, 1_000));
    assert.ok(growth.bytesPerRequestHigh > 1.4 * growth.bytesPerRequest);
  });

  it("leaves out lives that do not agree, and stays as it is where the current one kept nothing", () => {
    const silent = numbers(0, 50_000, { matured: 0 });
    const growth = growthAcrossLives(own, ofSite, [silent], numbers(200_000, 1_000));
    assert.ok(Math.abs(growth.bytesPerRequest - own.bytesPerRequest) < 1e-9, `${growth.bytesPerRequest}`);
    assert.equal(growthAcrossLives(own, { ...ofSite, perExposure: 0 }, [], numbers(0, 1_000)), own);
    assert.equal(growthAcrossLives(own, null, [], numbers(200_000, 1_000)), own);
  });

  it("keeps owners without requests without bytes per request", () => {
    const perHour = { perExposure: 2_500, low: 1_000, high: 4_000, exposure: 20 };
    const lives = [numbers(100_000, 20)];
    const growth = growthAcrossLives({ ...own, bytesPerRequest: null }, perHour, lives, numbers(50_000, 20));
    assert.equal(growth.bytesPerRequest, null);
    assert.ok(Math.abs(growth.bytesPerHour / own.bytesPerHour - 1.5) < 1e-9);
  });
});
