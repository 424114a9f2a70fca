"use strict";
const { setTimeout: delay } = require("node:timers/promises");

async function level(warehouse, item) {
  await delay(1);
  return {
    warehouse,
    item,
    bins: Array.from({ length: 24 }, (_, i) => ({ bin: `${item}-${i}`, count: (i * 13) % 40 })),
  };
}

async function forecast(warehouse) {
  const levels = await Promise.all(["a", "b", "c"].map((item) => level(warehouse, item)));
  return levels
    .flatMap(({ bins }) => bins)
    .sort((a, b) => a.count - b.count)
    .slice(0, 12);
}

async function reorder({ item, count }) {
  const { bins } = await level("any", item);
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  return { item, ordered: Math.max(0, count - total) };
}

module.exports = { level, forecast, reorder };
