"use strict";
const express = require("express");
const { LRUCache } = require("lru-cache");
const { templateFor } = require("./lib/templates");
const { withConnection } = require("./lib/connections");

const app = express();
const articles = new LRUCache({ max: 400 });

async function article(id) {
  const known = articles.get(id);
  if (known !== undefined) return known;
  const loaded = await withConnection((connection) => connection.read(`article:${id}`));
  articles.set(id, loaded);
  return loaded;
}

app.get("/:locale/articles/:id/:layout", async (request, response) => {
  const { locale, id, layout } = request.params;
  response.type("html").send(templateFor(locale, layout)(await article(id)));
});
app.get("/teasers/:id", async (request, response) => {
  const { title, paragraphs } = await article(request.params.id);
  response.json({ title, lead: paragraphs[0].slice(0, 80) });
});
app.get("/stock/:word", async (request, response) => {
  response.json(await withConnection((connection) => connection.read(`stock:${request.params.word}`)));
});
app.get("/health", (_request, response) => response.json({ ok: true }));
app.listen(Number(process.env.PORT), "127.0.0.1");
