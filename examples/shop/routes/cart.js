"use strict";
const { Router } = require("express");
const { findProduct, findProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { priceLine, totalOf } = require("../lib/pricing.js");
const { part } = require("../parts/index.js");

const { sessions } = part("sessions");
const router = Router();

router.post(
  "/items",
  sessions,
  handler(async (request, response) => {
    const product = await findProduct(request.body.product);
    const line = { ...priceLine(product, request.body.quantity), note: request.body.note, product };
    request.session.lines = [...(request.session.lines ?? []), line].slice(-20);
    response.status(201).json({ lines: request.session.lines, total: totalOf(request.session.lines) });
  }),
);

router.post(
  "/estimate",
  handler(async (request, response) => {
    const { lines, region } = request.body;
    const products = await findProducts(lines.map((line) => line.product));
    const priced = products.map((product, index) => priceLine(product, lines[index].quantity, region));
    response.json({ lines: priced, total: totalOf(priced) });
  }),
);

module.exports = router;
