"use strict";
const { setTimeout: delay } = require("node:timers/promises");

const loaded = new Map();
const loading = new Map();
const gone = new FinalizationRegistry((id) => {
  if (loaded.get(id)?.deref() === undefined) loaded.delete(id);
});

class Customer {
  constructor(id) {
    this.id = id;
    this.orders = Array.from({ length: 12 }, (_, i) => ({ number: `${id}-${i}`, total: (i * 31) % 200 }));
  }

  card() {
    return { id: this.id, orders: this.orders.length, spent: this.orders.reduce((sum, order) => sum + order.total, 0) };
  }
}

async function load(id) {
  await delay(2);
  const fresh = new Customer(id);
  loaded.set(id, new WeakRef(fresh));
  gone.register(fresh, id);
  loading.delete(id);
  return fresh;
}

/** The same object for the same customer, as long as somebody holds it. */
async function customer(id) {
  const known = loaded.get(id)?.deref();
  if (known !== undefined) return known;
  let pending = loading.get(id);
  if (pending === undefined) {
    pending = load(id);
    loading.set(id, pending);
  }
  return pending;
}

module.exports = { customer, trackedCount: () => loaded.size };
