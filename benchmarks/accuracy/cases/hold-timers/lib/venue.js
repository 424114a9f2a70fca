"use strict";
const { setImmediate: turn } = require("node:timers/promises");

async function seatsOf(show) {
  await turn();
  return Array.from({ length: 120 }, (_, i) => ({
    number: `${String.fromCharCode(65 + (i >> 4))}${i & 15}`,
    free: (i * 7 + show.length) % 5 !== 0,
  }));
}

async function priceList(show) {
  const groups = new Map();
  for (const { number, free } of await seatsOf(show)) {
    const group = groups.get(number[0]) ?? { row: number[0], free: 0, price: 20 + (number.charCodeAt(0) % 9) };
    if (free) group.free++;
    groups.set(number[0], group);
  }
  return [...groups.values()];
}

const floorPlan = () => Array.from({ length: 40 }, (_, i) => ({ x: i % 8, y: i >> 3, kind: i % 7 ? "seat" : "aisle" }));

module.exports = { seatsOf, priceList, floorPlan };
