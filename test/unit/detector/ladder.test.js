"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { ExposureClock } = require("../../../dist/detector/exposure.js");
const { Ladders, judgeLadder } = require("../../../dist/detector/ladder.js");
const { withContents } = require("../../../dist/detector/ladder-record.js");
const { StackIndex } = require("../../../dist/detector/stack-index.js");
const { StoredSample } = require("../../../dist/detector/sample-store.js");

const HOUR = 3_600_000;
const INTERVAL_BYTES = 65_537;
const OWNER = "route:1";

/** Ten requests an hour, evenly. */
function clock(hours) {
  const made = new ExposureClock(1, 60_000);
  for (let hour = 1; hour <= hours; hour++) made.add(1 + hour * HOUR, 10);
  return made;
}

/** @param steps [hour of birth, bytes, owner]; each is freed when the next one is born, unless `overlap`. */
function laddersOf(steps, { overlap = false } = {}) {
  const stacks = new StackIndex();
  stacks.addFrames([{ function: "record", file: "/srv/app/record.js", line: 1, column: 1 }]);
  stacks.addStacks([[0]]);
  const ladders = new Ladders(stacks);
  let previous = null;
  for (const [hour, sizeBytes, owner = OWNER] of steps) {
    const born = 1 + hour * HOUR;
    const sample = new StoredSample(1, 0, born, born, "request", owner, 0, sizeBytes, INTERVAL_BYTES);
    if (previous !== null && !overlap) previous.freedMillis = born + HOUR;
    ladders.note(sample, INTERVAL_BYTES);
    previous = sample;
  }
  return ladders;
}

/** @param decidableHours births up to there have survived two mark-compacts by now, or died. */
const read = (ladders, hours, decidableHours = hours) =>
  ladders
    .readings(
      (owner) => (owner === OWNER ? clock(hours) : null),
      1 + hours * HOUR,
      () => 1 + decidableHours * HOUR,
    )
    .get(OWNER) ?? [];

/** An array that gains 10,000 B an hour, replaced at each growth by half. */
const GROWING = [4, 6, 9, 14, 21, 32].map((hour) => [hour, hour * 1.5 * 10_000]);

describe("a container that grows", () => {
  it("is read with its steps and what it adds per request, between just full and just replaced", () => {
    const [reading] = read(laddersOf(GROWING), 40);
    assert.equal(reading.records, 6);
    assert.equal(reading.frame, 0);
    assert.ok(Math.abs(reading.slope - 1) < 0.05, `${reading.slope}`);
    assert.ok(reading.low <= 1_000 && reading.high >= 1_000, JSON.stringify(reading));
  });

  it("does not let steps count from before exposure was", () => {
    const early = [0.0001, 0.001].map((hour, index) => [hour, 40_000 + 9_000 * index]);
    assert.equal(read(laddersOf([...early, ...GROWING]), 40)[0]?.records, 6);
  });

  it("needs four steps, and the fifth not long overdue", () => {
    assert.equal(read(laddersOf(GROWING.slice(0, 3)), 15).length, 0);
    assert.equal(read(laddersOf(GROWING.slice(0, 4)), 15).length, 1);
    assert.equal(read(laddersOf(GROWING), 60).length, 0);
  });

  it("is none where growth flattens, where it falls back, and where several live at once", () => {
    const flattening = [4, 16, 64, 256].map((hour, step) => [hour, 100_000 * 1.5 ** step]);
    assert.equal(read(laddersOf(flattening), 260).length, 0);
    assert.equal(read(laddersOf([...GROWING, [33, 60_000]]), 40).length, 0);
    assert.equal(read(laddersOf(GROWING, { overlap: true }), 40).length, 0);
  });

  it("outlives the time between the death of a store and two mark-compacts, before which its successor is not known", () => {
    const ladders = laddersOf(GROWING);
    for (const records of ladders.byLeaf.values()) records.at(-1).freedMillis = 1 + 38 * HOUR;
    assert.equal(read(ladders, 40, 37)[0]?.records, GROWING.length);
    assert.equal(read(ladders, 40, 38).length, 0, "by now a successor would be known");
  });

  it("takes a rehash of equal size for no step and no break", () => {
    assert.equal(read(laddersOf([...GROWING, [33, 32 * 1.5 * 10_000]]), 40)[0].records, 6);
  });

  it("has the owner of four in five of its steps, or none", () => {
    const byTwo = GROWING.map(([hour, bytes], index) => [hour, bytes, index % 2 === 0 ? OWNER : "route:2"]);
    assert.equal(read(laddersOf(byTwo), 40).length, 0);
  });

  it("goes on when V8 compiles the function that grows it into its caller, and keeps its name", () => {
    const stacks = new StackIndex();
    for (const [line, name] of ["handler", "push", "other"].entries())
      stacks.addFrames([{ function: name, file: "/srv/app/record.js", line: line + 1, column: 1 }]);
    stacks.addStacks([[0, 1], [0], [0, 2]]);
    const readingsOf = (stackOf, steps = GROWING) => {
      const ladders = new Ladders(stacks);
      const samples = steps.map(([hour, sizeBytes], i) => {
        const born = 1 + hour * HOUR;
        return new StoredSample(1, 0, born, born, "request", OWNER, stackOf(i), sizeBytes, INTERVAL_BYTES);
      });
      for (const [i, sample] of samples.entries()) {
        if (samples[i + 1] !== undefined) sample.freedMillis = samples[i + 1].bornMillis + HOUR;
        ladders.note(sample, INTERVAL_BYTES);
      }
      return read(ladders, 40).map(({ frame, namedFrame, records }) => [frame, namedFrame, records]);
    };
    assert.deepEqual(
      readingsOf((i) => (i < 3 ? 0 : 1)),
      [[0, 1, 6]],
    );
    // A second callee whose container was as large before is another one: it takes no part.
    const beside = [[3, 500_000], ...GROWING];
    assert.deepEqual(
      readingsOf((i) => (i === 0 ? 2 : i < 4 ? 0 : 1), beside),
      [[0, 1, 6]],
    );
    // A callee that goes on growing its own was not compiled into its caller.
    assert.deepEqual(
      readingsOf((i) => (i < 2 || i === 5 ? 0 : 1)),
      [],
    );
  });

  it("is small to be seen by chance only: below half an interval it is not followed", () => {
    assert.equal(read(laddersOf(GROWING.map(([hour, bytes]) => [hour, bytes / 40])), 40).length, 0);
  });
});

describe("the verdict on a growing container", () => {
  const [reading] = read(laddersOf(GROWING), 60) ?? [];
  const standing = reading ?? read(laddersOf(GROWING), 40)[0];
  const times = { nowMillis: 1 + 60 * HOUR, heldMillis: 24 * HOUR, horizonMillis: 24 * HOUR };
  const agreeing = () => ({ bytesPerHour: 9_000, low: 1_000, high: 20_000 });

  it("is a leak when the level after mark-compacts grows with it, and a watch otherwise", () => {
    assert.equal(judgeLadder(standing, 10_000, agreeing, times), "leak");
    assert.equal(
      judgeLadder(standing, 10_000, () => null, times),
      "watch",
    );
    assert.equal(
      judgeLadder(standing, 10_000, () => ({ ...agreeing(), low: -1 }), times),
      "watch",
    );
    assert.equal(
      judgeLadder(standing, 10_000, () => ({ ...agreeing(), bytesPerHour: 4_000 }), times),
      "watch",
    );
  });

  it("waits for two horizons of climbing and one of being read", () => {
    assert.equal(judgeLadder(standing, 10_000, agreeing, { ...times, heldMillis: 23 * HOUR }), "watch");
    assert.equal(judgeLadder(standing, 10_000, agreeing, { ...times, nowMillis: 1 + 50 * HOUR }), "watch");
  });
});

it("what a container holds is part of what it retains, once enough samples show it", () => {
  const growth = (bytes, objects) => ({
    bytesPerRequest: bytes,
    bytesPerRequestLow: bytes - 1,
    bytesPerRequestHigh: bytes + 1,
    confidence: 0.95,
    bytesPerHour: bytes * 100,
    bytesPerHourLow: (bytes - 1) * 100,
    bytesPerHourHigh: (bytes + 1) * 100,
    retainedBytes: bytes * 10,
    retainedObjects: objects,
    requests: 10,
  });
  const [container, contents] = [growth(12, 1), growth(150, 70)];
  assert.deepEqual(withContents(container, contents, 8), {
    ...growth(162, 71),
    bytesPerRequestLow: 160,
    bytesPerRequestHigh: 164,
    bytesPerHourLow: 16_000,
    bytesPerHourHigh: 16_400,
  });
  assert.deepEqual(withContents(container, contents, 7), container);
  assert.deepEqual(withContents(container, { ...contents, bytesPerHourLow: 0 }, 80), container);
});

describe("more functions with large objects than there is room for", () => {
  const FUNCTIONS = 512;

  /** One large object of each of `FUNCTIONS` functions at hour 1, some of them still living; then a container grows in another. */
  function readingsOf(isLiving, stackOf = () => [FUNCTIONS]) {
    const stacks = new StackIndex();
    for (let line = 0; line <= FUNCTIONS + 1; line++)
      stacks.addFrames([{ function: `f${line}`, file: "/srv/app/record.js", line: line + 1, column: 1 }]);
    const ladders = new Ladders(stacks);
    let stackCount = 0;
    const note = (stack, hour, sizeBytes) => {
      stacks.addStacks([stack]);
      const born = 1 + hour * HOUR;
      const sample = new StoredSample(1, 0, born, born, "request", OWNER, stackCount++, sizeBytes, INTERVAL_BYTES);
      ladders.note(sample, INTERVAL_BYTES);
      return sample;
    };
    for (let frame = 0; frame < FUNCTIONS; frame++) {
      const sample = note([frame], 1, 40_000);
      if (!isLiving(frame)) sample.freedMillis = 1 + 2 * HOUR;
    }
    let previous = null;
    for (const [index, [hour, sizeBytes]] of GROWING.entries()) {
      if (previous !== null) previous.freedMillis = 1 + hour * HOUR;
      previous = note(stackOf(index), hour, sizeBytes);
    }
    return { ladders, note, readings: () => read(ladders, 40).map(({ frame, records }) => [frame, records]) };
  }

  it("forgets one of which nothing lives for a new one, and never one that climbs", () => {
    const { note, readings } = readingsOf((frame) => frame % 2 === 0);
    assert.deepEqual(readings(), [[FUNCTIONS, 6]]);
    for (let i = 0; i < 2 * FUNCTIONS; i++)
      note([FUNCTIONS + 1, i % FUNCTIONS], 33, 40_000).freedMillis = 1 + 34 * HOUR;
    assert.deepEqual(readings(), [[FUNCTIONS, 6]]);
  });

  it("keeps the first steps of a function that V8 has compiled into its caller since", () => {
    const { note, readings } = readingsOf(
      () => false,
      (index) => (index < 3 ? [FUNCTIONS, FUNCTIONS + 1] : [FUNCTIONS]),
    );
    assert.deepEqual(readings(), [[FUNCTIONS, 6]]);
    for (let i = 0; i < FUNCTIONS; i++) note([i], 33, 40_000).freedMillis = 1 + 34 * HOUR;
    assert.deepEqual(readings(), [[FUNCTIONS, 6]]);
  });

  it("takes no new one where every known one has something that lives, and counts it", () => {
    const { ladders, readings } = readingsOf(() => true);
    assert.deepEqual(readings(), []);
    assert.equal(ladders.refusedCount, 6);
  });
});
