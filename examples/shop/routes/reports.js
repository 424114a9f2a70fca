"use strict";
const { Router } = require("express");
const { findOrders, findProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { priceLine, totalOf } = require("../lib/pricing.js");
const { money, toCsv } = require("../lib/render.js");
const { part } = require("../parts/index.js");

const { slowest, timed } = part("timings");
const router = Router();

async function orderRow(order) {
  const products = await timed("report.products", () => findProducts(order.lines.map((line) => line.product)));
  const lines = products.map((product, index) => priceLine(product, order.lines[index].quantity));
  return { order: order.id, city: order.city, lines: lines.length, total: money(totalOf(lines)) };
}

router.post(
  "/",
  handler(async (request, response) => {
    const { from, count } = request.body;
    const orders = await timed("report.orders", () => findOrders(Number(from), count));
    const rows = await timed("report.rows", () => Promise.all(orders.map(orderRow)));
    const text = await timed("report.text", async () => toCsv(rows));
    response.type("text/csv").send(text);
  }),
);

router.get("/slowest", (_request, response) => {
  response.json(slowest(20));
});

module.exports = router;
