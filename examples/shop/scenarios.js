/**
 * Owns what the demo knows about the shop: per seed the part that runs unrepaired, the route that calls it, the
 * functions whose line a right finding may name, and the request mix. The service itself never reads this file.
 */
"use strict";
const path = require("node:path");

const shop = (file) => path.join(__dirname, file);
const installed = (file) => require.resolve(file);

/**
 * `sites`: the function that keeps memory or, in the package, the one that allocates what is kept.
 * @type {{part: string, route: string, request: string, footgun: string, source: string,
 *   sites: {file: string, functions: string[]}[]}[]} seed 1 is the first
 */
const SCENARIOS = [
  {
    part: "order-log",
    route: "GET /orders/:id",
    request: "order",
    footgun: "debug 4.1.1 keeps every instance in createDebug.instances",
    source: "https://github.com/debug-js/debug/issues/678",
    sites: [
      { file: shop("parts/before/order-log.js"), functions: ["orderLog"] },
      { file: installed("debug/src/common.js"), functions: ["createDebug", "extend"] },
    ],
  },
  {
    part: "offers",
    route: "GET /products/:id/offers/:customer",
    request: "offer",
    footgun: "mem 3 with maxAge never removes what has expired",
    source: "https://github.com/advisories/GHSA-4xcv-9jjx-gfj3",
    sites: [
      { file: shop("parts/before/offers.js"), functions: ["computeOffer", "steps"] },
      { file: installed("mem"), functions: ["memoized", "setData"] },
    ],
  },
  {
    part: "timings",
    route: "POST /reports",
    request: "report",
    footgun: "a module-level list of timings that nobody clears",
    source: "the list grows by one object per measured phase",
    sites: [{ file: shop("parts/before/timings.js"), functions: ["timed"] }],
  },
  {
    part: "customers",
    route: "POST /checkout",
    request: "checkout",
    footgun: "a DataLoader at module level memoizes every key",
    source: "https://github.com/graphql/dataloader#caching-per-request",
    sites: [
      { file: shop("parts/before/customers.js"), functions: ["toCustomer", "months", "loader"] },
      { file: installed("dataloader"), functions: ["load", "promise", "dispatchBatch"] },
    ],
  },
  {
    part: "search-metrics",
    route: "GET /search",
    request: "search",
    footgun: "a prom-client label takes as many values as people type words",
    source: "https://prometheus.io/docs/practices/naming/#labels",
    sites: [
      { file: shop("parts/before/search-metrics.js"), functions: ["countSearch"] },
      { file: installed("prom-client/lib/counter.js"), functions: ["incWithoutExemplar", "setValue"] },
      {
        file: installed("prom-client/lib/histogram.js"),
        functions: ["observe", "observeWithoutExemplar", "createBaseValues", "convertLabelsAndValues"],
      },
      { file: installed("prom-client/lib/util.js"), functions: ["hashObject", "setValue"] },
    ],
  },
  {
    part: "sessions",
    route: "POST /cart/items",
    request: "cart",
    footgun: "express-session's MemoryStore keeps sessions that never come back",
    source: "https://github.com/expressjs/session#sessionoptions",
    sites: [
      { file: installed("express-session/session/memory.js"), functions: ["set", "MemoryStore.prototype.set"] },
      { file: installed("express-session"), functions: ["save", "generate"] },
      { file: installed("express-session/session/session.js"), functions: ["save", "Session"] },
    ],
  },
];

/** Share of each request when no route is favoured. */
const MIX = [
  { name: "listing", weight: 1, make: ({ below }) => get(`/products?page=${below(40)}`) },
  { name: "page", weight: 3, make: ({ below }) => get(`/products/${below(2_500)}`) },
  { name: "offer", weight: 2, make: ({ below, sequence }) => get(`/products/${below(2_500)}/offers/${sequence}`) },
  { name: "search", weight: 2, make: ({ word, sequence }) => get(`/search?q=${word()}%20${word()}%20${sequence}`) },
  {
    name: "cart",
    weight: 2,
    make: ({ below, word, sequence }) =>
      post("/cart/items", { product: below(2_500), quantity: 2, note: `${word()} ${word()} ${sequence}` }),
  },
  { name: "estimate", weight: 1, make: ({ below }) => post("/cart/estimate", { region: "us", lines: basket(below) }) },
  {
    name: "checkout",
    weight: 2,
    make: ({ below, sequence }) => post("/checkout", { customer: sequence, region: "eu", lines: basket(below) }),
  },
  { name: "orders", weight: 1, make: ({ below }) => get(`/orders?page=${below(100)}`) },
  { name: "order", weight: 2, make: ({ sequence }) => get(`/orders/${sequence}`) },
  { name: "report", weight: 1, make: ({ below }) => post("/reports", { from: below(900), count: 6 }) },
];

const get = (url) => ({ method: "GET", path: url });
const post = (url, body) => ({
  method: "POST",
  path: url,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const basket = (below) => [1, 2, 3].map((quantity) => ({ product: below(2_500), quantity }));

module.exports = { MIX, SCENARIOS };
