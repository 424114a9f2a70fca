"use strict";
const { setTimeout: delay } = require("node:timers/promises");

class UpstreamError extends Error {
  constructor(symbol, attempts) {
    super(`no quote for ${symbol} after ${attempts} attempts`);
    this.symbol = symbol;
    this.attempts = attempts;
  }
}

async function ask(symbol, attempt) {
  await delay(1);
  if (Number(symbol.replace(/\D/g, "")) % 10 < 3) throw new Error(`upstream ${attempt % 2 ? "timed out" : "is busy"}`);
  return { symbol, bid: 100 + ((symbol.length * 7 + attempt) % 20) };
}

async function quote(symbol, depth = 3) {
  for (let attempt = 1; attempt <= 2; attempt++) {
    try {
      const { bid } = await ask(symbol, attempt);
      const book = Array.from({ length: Number(depth) * 10 }, (_, i) => ({
        level: i,
        price: bid - i * 0.01,
        size: i * 10,
      }));
      return { symbol, bid, book };
    } catch (error) {
      if (attempt === 2) throw Object.assign(new UpstreamError(symbol, attempt), { cause: error });
    }
  }
}

async function chart(symbol) {
  await delay(1);
  const points = Array.from({ length: 240 }, (_, i) => ({ t: i, v: Math.sin(i / 9 + symbol.length) * 10 }));
  return { symbol, high: Math.max(...points.map(({ v }) => v)), points: points.filter((_, i) => i % 12 === 0) };
}

async function compare(symbols) {
  const charts = await Promise.all(symbols.map(chart));
  return charts.sort((a, b) => b.high - a.high).map(({ symbol, high }) => ({ symbol, high }));
}

module.exports = { quote, chart, compare };
