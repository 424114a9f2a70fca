"use strict";
const { setTimeout: delay } = require("node:timers/promises");
const { createPool } = require("generic-pool");

class Connection {
  constructor() {
    this.buffer = new Array(4_000).fill(0).map((_, i) => ({ slot: i, used: false }));
    this.prepared = new Map();
  }

  async read(key) {
    await delay(2);
    const kind = key.split(":")[0];
    if (!this.prepared.has(kind)) this.prepared.set(kind, { kind, text: `select ${kind}`.repeat(20) });
    const paragraphs = Array.from({ length: 3 }, (_, i) => `${key} paragraph ${i} `.repeat(12));
    return { title: `On ${key}`, paragraphs };
  }
}

const pool = createPool({ create: async () => new Connection(), destroy: async () => {} }, { max: 24, min: 1 });

const withConnection = (work) => pool.use(work);

module.exports = { withConnection };
