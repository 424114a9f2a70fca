/**
 * Part of the measured service. A database as a driver presents it: a pool of connections, one query at a time on each,
 * rows that arrive as text in a later loop turn and are decoded. Owns the tables; they stay the same size.
 */
"use strict";

const PRODUCTS = 2_000;
const USERS = 500;
const CONNECTIONS = 10;
const WORDS = "ash birch cedar elm fir hazel larch maple oak pine rowan willow".split(" ");

function sentence(seed, words) {
  const parts = [];
  for (let i = 0; i < words; i++) parts.push(WORDS[(seed * 7 + i * i * 13 + i) % WORDS.length]);
  return parts.join(" ");
}

function productRow(id) {
  return JSON.stringify({
    id,
    sku: `SKU-${10_000 + id}`,
    name: sentence(id, 4),
    description: sentence(id + 3, 60),
    price: { amount: 100 + ((id * 37) % 900), currency: "EUR" },
    tags: [sentence(id, 1), sentence(id + 5, 1)],
    attributes: { weight: id % 50, colour: sentence(id + 1, 1), stock: id % 17 },
  });
}

function orderRow(userId, index) {
  return JSON.stringify({
    id: `o-${userId}-${index}`,
    placed: new Date(1_700_000_000_000 + index * 86_400_000).toISOString(),
    state: index % 3 === 0 ? "shipped" : "open",
    lines: Array.from({ length: 3 }, (_, i) => ({ product: (userId * 11 + index * 5 + i) % PRODUCTS, count: 1 + i })),
  });
}

class Connection {
  /** Answers in a later loop turn, as a socket would. */
  send(rows) {
    return new Promise((resolve) => {
      setImmediate(() => resolve(rows));
    });
  }
}

class Database {
  #idle = Array.from({ length: CONNECTIONS }, () => new Connection());
  #waiting = [];
  #products = Array.from({ length: PRODUCTS }, (_, id) => productRow(id));
  #orders = Array.from({ length: USERS }, (_, user) => Array.from({ length: 16 }, (_, i) => orderRow(user, i)));

  product(id) {
    return this.#query(() => [this.#products[id % PRODUCTS]]).then((rows) => rows[0]);
  }

  page(number, size) {
    const first = (number * size) % PRODUCTS;
    return this.#query(() => this.#products.slice(first, first + size));
  }

  ordersOf(user) {
    return this.#query(() => this.#orders[user % USERS]);
  }

  /** Takes the place of an older order: the table does not grow. */
  async insertOrder(user, order) {
    const row = JSON.stringify(order);
    await this.#query(() => []);
    const orders = this.#orders[user % USERS];
    orders[orders.length - 1] = row;
    return order.id;
  }

  async #query(read) {
    const connection = await this.#acquire();
    try {
      const rows = await connection.send(read());
      return rows.map((row) => JSON.parse(row));
    } finally {
      this.#release(connection);
    }
  }

  #acquire() {
    const connection = this.#idle.pop();
    if (connection !== undefined) return connection;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #release(connection) {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(connection);
    else next(connection);
  }
}

/** A bounded cache, least recently used first out. */
class Cache {
  #entries = new Map();
  constructor(capacity) {
    this.capacity = capacity;
  }

  get(key) {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key, value) {
    this.#entries.set(key, value);
    if (this.#entries.size > this.capacity) this.#entries.delete(this.#entries.keys().next().value);
  }
}

module.exports = { Cache, Database };
