"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { LN_EVIDENCE_CAP, lnEvidence, lnThreshold } = require("../../../dist/detector/evidence");
const { random } = require("./stream");

test("with no deaths, 9/13/17/21/24 maturations reach alpha 1e-2 ... 1e-6", () => {
  const needed = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6].map((alpha) => {
    let matured = 1;
    while (lnEvidence(matured, 0) < -Math.log(alpha)) matured++;
    return matured;
  });
  assert.deepEqual(needed, [9, 13, 17, 21, 24]);
});

test("evidence is the mixture likelihood ratio, checked against direct summation", () => {
  const choose = (n, k) => {
    let value = 1;
    for (let i = 1; i <= k; i++) value = (value * (n - k + i)) / i;
    return value;
  };
  for (const [a, d] of [
    [0, 0],
    [3, 1],
    [10, 10],
    [7, 20],
    [30, 2],
    [2, 0],
  ]) {
    const n = a + d;
    let cdf = 0;
    for (let i = 0; i <= a; i++) cdf += choose(n + 1, i) / 2 ** (n + 1);
    const expected = Math.log(2 ** (n + 1) / ((n + 1) * choose(n, a))) + Math.log(cdf);
    assert.ok(Math.abs(lnEvidence(a, d) - expected) < 1e-9, `A=${a} D=${d}: ${lnEvidence(a, d)} against ${expected}`);
  }
});

test("a bounded structure crosses 1/alpha at most alpha of the time, however often one looks (seed 7)", () => {
  const rnd = random(7);
  const alpha = 0.05;
  const runs = 4_000;
  let crossed = 0;
  for (let run = 0; run < runs; run++) {
    let matured = 0;
    let freed = 0;
    for (let event = 0; event < 400; event++) {
      if (rnd() < 0.5) matured++;
      else freed++;
      if (lnEvidence(matured, freed) >= -Math.log(alpha)) {
        crossed++;
        break;
      }
    }
  }
  const upper = crossed / runs - 2.6 * Math.sqrt((alpha * (1 - alpha)) / runs);
  assert.ok(upper <= alpha, `crossed in ${crossed} of ${runs} runs`);
  assert.ok(crossed > 0, "a test that never crosses tests nothing");
});

test("evidence is capped and finite for large counts", () => {
  assert.equal(lnEvidence(100_000, 0), LN_EVIDENCE_CAP);
  assert.ok(Number.isFinite(lnEvidence(50_000, 50_000)));
  assert.ok(lnEvidence(10, 5_000) < 0);
});

test("the weights of all hypotheses sum to at most alpha", () => {
  const alpha = Math.exp(-lnThreshold(0, 0, 0, 1, 1)) * 8;
  let sum = 0;
  for (let owner = 0; owner < 60; owner++) {
    for (let site = 0; site < 60; site++) {
      for (let octave = 0; octave < 20; octave++) sum += 8 * 3 * Math.exp(-lnThreshold(owner, site, octave, 8, 3));
    }
  }
  assert.ok(sum <= alpha, `${sum} against ${alpha}`);
});
