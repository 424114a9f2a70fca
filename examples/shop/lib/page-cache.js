/** Product pages that were looked at lately. */
"use strict";
const { LRUCache } = require("lru-cache");
const { findProduct, findProducts } = require("./database.js");
const { productCard } = require("./render.js");

const pages = new LRUCache({ max: 400 });

async function buildPage(id) {
  const product = await findProduct(id);
  const related = await findProducts([product.id + 8, product.id + 16, product.id + 24]);
  return {
    product,
    card: productCard(product),
    related: related.map(({ sku, title, price }) => ({ sku, title, price })),
  };
}

async function productPage(id) {
  const cached = pages.get(id);
  if (cached !== undefined) return cached;
  const page = await buildPage(id);
  pages.set(id, page);
  return page;
}

module.exports = { productPage };
