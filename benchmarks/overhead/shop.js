/**
 * Part of the measured service. The handlers, without a framework: authentication, cache, several awaited queries, some
 * work on the rows, an answer of some KB. 0.3-1 ms of CPU per request, framework included: see calibration.js.
 */
"use strict";

const { createHash } = require("node:crypto");
const { Cache, Database } = require("./data-layer");

const database = new Database();
const products = new Cache(400);
const sessions = new Cache(200);

async function authenticate(token) {
  const known = sessions.get(token);
  if (known !== undefined) return known;
  const digest = createHash("sha256").update(String(token)).digest("hex");
  await database.product(Number.parseInt(digest.slice(0, 4), 16));
  const user = { id: Number.parseInt(digest.slice(0, 6), 16) % 500, roles: ["buyer"], digest };
  sessions.set(token, user);
  return user;
}

async function loadProduct(id) {
  const cached = products.get(id);
  if (cached !== undefined) return cached;
  const row = await database.product(id);
  products.set(id, row);
  return row;
}

async function priced(product, user) {
  const discount = user.id % 10;
  return { ...product, total: Math.round(product.price.amount * (100 - discount)) / 100 };
}

async function listProducts({ query, token }) {
  const user = await authenticate(token);
  const rows = await database.page(Number(query.page ?? 0), 20);
  const shown = await Promise.all(rows.map((row) => priced(row, user)));
  return { page: Number(query.page ?? 0), items: shown.sort((a, b) => a.total - b.total) };
}

async function showProduct({ params, token }) {
  const user = await authenticate(token);
  const id = Number(params.id);
  const product = await priced(await loadProduct(id), user);
  const similar = [];
  for (let i = 1; i <= 8; i++) similar.push(await loadProduct((id * 3 + i * 101) % 2_000));
  return { product, similar: similar.map(({ sku, name, price, tags }) => ({ sku, name, price, tags })) };
}

async function placeOrder({ body, token }) {
  const user = await authenticate(token);
  let amount = 0;
  const lines = [];
  for (const line of body.lines) {
    const product = await loadProduct(line.product);
    amount += product.price.amount * line.count;
    lines.push({ ...line, sku: product.sku, note: line.note.trim() });
  }
  const order = { id: `o-${user.id}-${amount}`, placed: new Date().toISOString(), state: "open", lines, amount };
  await database.insertOrder(user.id, order);
  return { accepted: true, order };
}

async function listOrders({ params, token }) {
  await authenticate(token);
  const rows = await database.ordersOf(Number(params.user));
  const orders = [];
  for (const row of rows) {
    const known = row.lines.filter((line) => line.product !== undefined);
    const first = known.length > 0 ? await loadProduct(known[0].product) : null;
    orders.push({ id: row.id, state: row.state, lines: row.lines, first: first?.name ?? null });
  }
  return { orders: orders.sort((a, b) => (a.id < b.id ? 1 : -1)) };
}

/** The cheapest of some pages of products for this user: the work that a fast machine is given more of. */
async function bestOffers(token, pages) {
  const user = await authenticate(token);
  const offers = [];
  for (let page = 0; page < pages; page++) {
    const rows = await database.page((user.id + page * 7) % 100, 20);
    const prices = rows.map(({ sku, price }) => ({ sku, total: (price.amount * (100 - (user.id % 10))) / 100 }));
    offers.push(prices.sort((a, b) => a.total - b.total)[0]);
  }
  return offers;
}

/** @returns the routes whose handlers also rank so many pages of products. */
function routesWith(pages) {
  if (pages === 0) return ROUTES;
  return ROUTES.map((route) => ({
    ...route,
    handle: async (request) => ({ ...(await route.handle(request)), offers: await bestOffers(request.token, pages) }),
  }));
}

/** Templates as Express and Fastify write them. */
const ROUTES = [
  { method: "GET", path: "/products", handle: listProducts },
  { method: "GET", path: "/products/:id", handle: showProduct },
  { method: "POST", path: "/orders", handle: placeOrder },
  { method: "GET", path: "/users/:user/orders", handle: listOrders },
];

/** A repeating sequence of requests that meets each route, cache hits and misses: every block sees the same mix. */
function requestMix() {
  const requests = [];
  for (let i = 0; i < 400; i++) {
    const token = `token-${i % 150}`;
    const kind = i % 4;
    if (kind === 0) requests.push({ method: "GET", path: `/products?page=${(i * 7) % 100}`, token });
    if (kind === 1) requests.push({ method: "GET", path: `/products/${(i * 37) % 2_000}`, token });
    if (kind === 2) requests.push({ method: "POST", path: "/orders", token, body: orderBody(i) });
    if (kind === 3) requests.push({ method: "GET", path: `/users/${(i * 3) % 500}/orders`, token });
  }
  return requests;
}

function orderBody(seed) {
  const lines = Array.from({ length: 16 }, (_, i) => ({
    product: (seed * 13 + i * 29) % 2_000,
    count: 1 + (i % 3),
    note: `please wrap number ${i} `.repeat(8),
  }));
  return JSON.stringify({ lines, address: { street: "Elm street 5", city: "Ash", country: "DE" }, seed });
}

module.exports = { requestMix, routesWith };
