"use strict";
const { Router } = require("express");
const { findOrder, findOrders, findProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { priceLine, totalOf } = require("../lib/pricing.js");
const { part } = require("../parts/index.js");

const { orderLog } = part("order-log");
const router = Router();

async function describeOrder(order) {
  const products = await findProducts(order.lines.map((line) => line.product));
  const lines = products.map((product, index) => priceLine(product, order.lines[index].quantity));
  return { id: order.id, city: order.city, placedAt: order.placedAt, lines, total: totalOf(lines) };
}

router.get(
  "/",
  handler(async (request, response) => {
    const page = Number(request.query.page) || 0;
    const orders = await findOrders(page * 4, 4);
    response.json({ page, orders: await Promise.all(orders.map(describeOrder)) });
  }),
);

router.get(
  "/:id",
  orderLog,
  handler(async (request, response) => {
    const { log } = request;
    const order = await findOrder(request.params.id);
    log.order("placed at %d in %s", order.placedAt, order.city);
    const described = await describeOrder(order);
    log.lines("%d lines", described.lines.length);
    log.prices("total %d", described.total);
    response.json(described);
  }),
);

module.exports = router;
