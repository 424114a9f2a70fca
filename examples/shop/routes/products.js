"use strict";
const { Router } = require("express");
const { findProduct, scanProducts } = require("../lib/database.js");
const { handler } = require("../lib/handler.js");
const { productPage } = require("../lib/page-cache.js");
const { productCard } = require("../lib/render.js");
const { part } = require("../parts/index.js");

const { offerFor } = part("offers");
const router = Router();

router.get(
  "/",
  handler(async (request, response) => {
    const page = Number(request.query.page) || 0;
    const products = await scanProducts(page * 8, 8);
    response.json({ page, items: products.map((product) => ({ sku: product.sku, card: productCard(product) })) });
  }),
);

router.get(
  "/:id",
  handler(async (request, response) => {
    response.json(await productPage(Number(request.params.id)));
  }),
);

router.get(
  "/:id/offers/:customer",
  handler(async (request, response) => {
    const product = await findProduct(request.params.id);
    const offer = await offerFor(product, Number(request.params.customer));
    response.json({ sku: product.sku, title: product.title, ...offer });
  }),
);

module.exports = router;
