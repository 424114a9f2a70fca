"use strict";
const { LRUCache } = require("lru-cache");
const { findDiscount } = require("../../lib/database.js");
const { priceLine } = require("../../lib/pricing.js");

const STEPS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 50, 100];
const offers = new LRUCache({ max: 500, ttl: 5_000 });

async function computeOffer(product, customer) {
  const { percent } = await findDiscount(customer);
  const steps = STEPS.map((quantity) => {
    const { net, gross } = priceLine(product, quantity);
    return { quantity, net: Math.round(net * (1 - percent / 100)), gross: Math.round(gross * (1 - percent / 100)) };
  });
  return { product: product.id, customer, percent, steps, validUntil: Date.now() + 5_000 };
}

/** A customer's prices for a product; good for five seconds. */
function offerFor(product, customer) {
  const key = `${product.id}:${customer}`;
  const known = offers.get(key);
  if (known !== undefined) return known;
  const offer = computeOffer(product, customer);
  offers.set(key, offer);
  return offer;
}

module.exports = { offerFor };
