"use strict";
const { Counter, Histogram } = require("prom-client");

const searches = new Counter({
  name: "shop_searches_total",
  help: "Searches by words",
  labelNames: ["words", "found"],
});
const hits = new Histogram({
  name: "shop_search_hits",
  help: "Hits of one search by words",
  labelNames: ["words"],
  buckets: [0, 1, 5, 20, 100],
});

/** Middleware: counts the search once it is answered. */
function countSearch(_request, response, next) {
  response.once("finish", () => {
    const { words, hitCount } = response.locals;
    searches.inc({ words, found: hitCount > 0 ? "yes" : "no" });
    hits.observe({ words }, hitCount);
  });
  next();
}

module.exports = { countSearch };
