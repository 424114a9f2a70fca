"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { SampleStore } = require("../../../dist/detector/sample-store");

const LEAF = 7;
const OWNER = "route:1";
const sample = (key, bornMillis, sizeBytes) => ({ key, bornMillis, kind: "request", route: 1, stack: 0, sizeBytes });

function storeOf(samples) {
  const store = new SampleStore(() => LEAF);
  for (const one of samples) store.mature(one, OWNER, 0, one.bornMillis + 10, 16_385);
  return store;
}

const containersOf = (store) => [...store.of(OWNER)].filter((one) => one.container).map((one) => one.sizeBytes);

test("a container that was reallocated has no vote, neither its old body nor its new one", () => {
  const store = storeOf([sample("a", 100, 15_624), sample("b", 200, 23_568), sample("c", 210, 64)]);
  assert.deepEqual(containersOf(store), []);
  store.free("a", 300);
  assert.deepEqual(containersOf(store), [15_624, 23_568]);
});

test("a cache of large values is no container: its deaths count", () => {
  const store = storeOf([1, 2, 3, 4].map((order) => sample(`v${order}`, order * 100, 20_000)));
  store.free("v1", 1_000);
  assert.deepEqual(containersOf(store), []);
});

test("an object born after the death, or far larger, is no successor", () => {
  const late = storeOf([sample("a", 100, 15_624)]);
  late.free("a", 150);
  late.mature(sample("b", 200, 23_568), OWNER, 0, 220, 16_385);
  assert.deepEqual(containersOf(late), []);
  const larger = storeOf([sample("a", 100, 4_000), sample("b", 120, 400_000)]);
  larger.free("a", 150);
  assert.deepEqual(containersOf(larger), []);
});
