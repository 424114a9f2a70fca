"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { MAX_PAGES, MIN_REQUEST_MICROS, PROBE_PAGES, pagesFor } = require("../../../benchmarks/overhead/calibration");

/** What a request takes with so many pages. */
const machine = (base, perPage) => (pages) => base + pages * perPage;
const chosenFor = (micros) => pagesFor(micros(0), micros(PROBE_PAGES));

test("a fast machine's request gets the work that it lacks, and hardly more", () => {
  for (const micros of [machine(110, 12), machine(200, 25), machine(MIN_REQUEST_MICROS - 1, 40)]) {
    const pages = chosenFor(micros);
    assert.ok(micros(pages) >= MIN_REQUEST_MICROS);
    assert.ok(micros(pages - 1) < MIN_REQUEST_MICROS);
  }
});

test("a request that has enough work gets none, and a measurement that makes no sense ends", () => {
  assert.equal(chosenFor(machine(MIN_REQUEST_MICROS, 12)), 0);
  assert.equal(chosenFor(machine(900, 60)), 0);
  assert.equal(chosenFor(machine(100, -1)), MAX_PAGES);
  assert.equal(chosenFor(machine(1, 0.001)), MAX_PAGES);
});
