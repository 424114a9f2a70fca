"use strict";
const { Router } = require("express");
const { scanProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { part } = require("../parts/index.js");

const { countSearch } = part("search-metrics");
const router = Router();

router.get(
  "/",
  countSearch,
  handler(async (request, response) => {
    const words = String(request.query.q ?? "").toLowerCase();
    const candidates = await scanProducts(words.length * 40, 16);
    const hits = candidates
      .map((product) => ({ product, at: `${product.title} ${product.tags.join(" ")}`.indexOf(words.split(" ")[0]) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at);
    Object.assign(response.locals, { words, hitCount: hits.length });
    response.json({ words, hits: hits.slice(0, 8).map(({ product }) => ({ sku: product.sku, title: product.title })) });
  }),
);

module.exports = router;
