/** The shop's tables: rows kept as JSON text, read with a round trip, as a driver would. */
"use strict";
const { setTimeout: delay } = require("node:timers/promises");

const COLORS = ["amber", "basil", "coral", "denim", "ebony", "fawn", "grape", "honey"];
const KINDS = ["lamp", "chair", "rug", "table", "shelf", "sofa", "mirror", "clock"];
const CITIES = ["Aarhus", "Bergen", "Cork", "Delft", "Espoo", "Faro", "Graz", "Huelva"];

const PRODUCT_COUNT = 2_500;
const ORDER_COUNT = 1_000;

function productRow(id) {
  const color = COLORS[id % COLORS.length];
  const kind = KINDS[(id * 7) % KINDS.length];
  return {
    id,
    sku: `${kind.slice(0, 3).toUpperCase()}-${String(id).padStart(5, "0")}`,
    title: `${color} ${kind} no. ${id}`,
    price: 1_500 + ((id * 7_919) % 90_000),
    stock: (id * 31) % 120,
    tags: [color, kind, id % 2 === 0 ? "classic" : "new"],
    description: `A ${color} ${kind} made of stained oak. It ships flat and takes ten minutes to build. `.repeat(2),
  };
}

function orderRow(id) {
  const lines = Array.from({ length: 2 + (id % 5) }, (_, index) => ({
    product: (id * 13 + index * 101) % PRODUCT_COUNT,
    quantity: 1 + ((id + index) % 4),
  }));
  return { id, customer: id % 700, city: CITIES[id % CITIES.length], placedAt: 1_700_000_000 + id * 977, lines };
}

function customerRow(id) {
  const spent = Array.from({ length: 24 }, (_, month) => ((id * 31 + month * 17) % 400) * 100);
  return { id, name: `Customer ${id}`, city: CITIES[id % CITIES.length], since: 2010 + (id % 15), spent };
}

const products = Array.from({ length: PRODUCT_COUNT }, (_, id) => JSON.stringify(productRow(id)));
const orders = Array.from({ length: ORDER_COUNT }, (_, id) => JSON.stringify(orderRow(id)));

const rowIndex = (id, count) => Math.abs(Number.parseInt(id, 10) || 0) % count;

async function roundTrip() {
  await delay(1);
}

async function findProduct(id) {
  await roundTrip();
  return JSON.parse(products[rowIndex(id, PRODUCT_COUNT)]);
}

async function findProducts(ids) {
  await roundTrip();
  return ids.map((id) => JSON.parse(products[rowIndex(id, PRODUCT_COUNT)]));
}

async function scanProducts(from, count) {
  await roundTrip();
  return Array.from({ length: count }, (_, index) => JSON.parse(products[(from + index) % PRODUCT_COUNT]));
}

async function findOrder(id) {
  await roundTrip();
  return { ...JSON.parse(orders[rowIndex(id, ORDER_COUNT)]), id: Number(id) };
}

async function findOrders(from, count) {
  await roundTrip();
  return Array.from({ length: count }, (_, index) => JSON.parse(orders[(from + index) % ORDER_COUNT]));
}

async function findCustomers(ids) {
  await roundTrip();
  return ids.map((id) => customerRow(Number(id)));
}

async function findDiscount(customer) {
  await roundTrip();
  return { customer, percent: (customer * 17) % 12 };
}

module.exports = {
  findDiscount,
  PRODUCT_COUNT,
  findCustomers,
  findOrder,
  findOrders,
  findProduct,
  findProducts,
  scanProducts,
};
