"use strict";
const mem = require("mem");
const { findDiscount } = require("../../lib/database.js");
const { priceLine } = require("../../lib/pricing.js");

const STEPS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 100];

async function computeOffer(product, customer) {
  const { percent } = await findDiscount(customer);
  const steps = STEPS.map((quantity) => {
    const { net, gross } = priceLine(product, quantity);
    return { quantity, net: Math.round(net * (1 - percent / 100)), gross: Math.round(gross * (1 - percent / 100)) };
  });
  return { product: product.id, customer, percent, steps, validUntil: Date.now() + 5_000 };
}

/** A customer's prices for a product; good for five seconds. */
const offerFor = mem(computeOffer, { maxAge: 5_000, cacheKey: (product, customer) => `${product.id}:${customer}` });

module.exports = { offerFor };
