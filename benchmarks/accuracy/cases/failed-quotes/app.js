"use strict";
const express = require("express");
const { chart, compare, quote } = require("./lib/quotes");
const retries = require("./lib/retries");

const app = express();
app.use(express.json());
const api = express.Router();
api.get("/quotes/:symbol", async (request, response) => {
  try {
    response.json(await quote(request.params.symbol, request.query.depth));
  } catch (error) {
    retries.schedule(request.params.symbol, request.query, error);
    response.json({ symbol: request.params.symbol, stale: true });
  }
});
api.get("/charts/:symbol", async (request, response) => response.json(await chart(request.params.symbol)));
api.post("/compare", async (request, response) => response.json(await compare(request.body.symbols)));
app.use("/v1", api);
app.get("/health", (_request, response) => response.json({ ok: true, retries: retries.running() }));
app.listen(Number(process.env.PORT), "127.0.0.1");
