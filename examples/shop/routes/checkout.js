"use strict";
const { randomUUID } = require("node:crypto");
const { Router } = require("express");
const { findProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { priceLine, totalOf } = require("../lib/pricing.js");
const { part } = require("../parts/index.js");

const { customersFor } = part("customers");
const router = Router();

router.post(
  "/",
  handler(async (request, response) => {
    const { customer: id, lines, region } = request.body;
    const customer = await customersFor(request).load(Number(id));
    const products = await findProducts(lines.map((line) => line.product));
    const priced = products.map((product, index) => priceLine(product, lines[index].quantity, region));
    const total = Math.round(totalOf(priced) * (1 - customer.terms.discount));
    response.status(201).json({ confirmation: randomUUID(), dueInDays: customer.terms.days, lines: priced, total });
  }),
);

module.exports = router;
