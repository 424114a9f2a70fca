"use strict";
const { LRUCache } = require("lru-cache");
const { priceLine } = require("../../lib/pricing.js");

const STEPS = [1, 2, 3, 5, 10, 20, 50, 100];
const offers = new LRUCache({ max: 500, ttl: 5_000 });

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
function offerFor(product, customer) {
  const key = `${product.id}:${customer}`;
  const known = offers.get(key);
  if (known !== undefined) return known;
  const offer = computeOffer(product, customer);
  offers.set(key, offer);
  return offer;
}

module.exports = { offerFor };
