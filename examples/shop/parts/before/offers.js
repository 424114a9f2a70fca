"use strict";
const mem = require("mem");
const { priceLine } = require("../../lib/pricing.js");

const STEPS = [1, 2, 3, 5, 10, 20, 50, 100];

function computeOffer(product, customer) {
  const discount = (customer * 17 + product.id) % 12;
  const steps = STEPS.map((quantity) => {
    const { net, gross } = priceLine(product, quantity);
    return {
      quantity,
      net: net - Math.round((net * discount) / 100),
      gross: gross - Math.round((gross * discount) / 100),
    };
  });
  return { product: product.id, customer, discount, steps, validUntil: Date.now() + 5_000 };
}

/** A customer's prices for a product; good for five seconds. */
const offerFor = mem(computeOffer, { maxAge: 5_000, cacheKey: (product, customer) => `${product.id}:${customer}` });

module.exports = { offerFor };
