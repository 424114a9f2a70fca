"use strict";
const http = require("node:http");
const { Stats } = require("fast-stats");
const { layoutOf, paint, tilesOf } = require("./lib/render");

const paintTimes = new Stats();

function render(name) {
  const tiles = tilesOf(name, 32);
  const rows = tiles.map((tile) => {
    const started = performance.now();
    const row = paint(tile);
    paintTimes.push(performance.now() - started);
    return row;
  });
  return { name, rows: rows.length, bytes: rows.reduce((sum, row) => sum + row.length, 0) };
}

const ROUTES = [
  [/^\/render\/([^/]+)$/, (name) => render(name)],
  [/^\/layout\/([^/]+)$/, (name) => layoutOf(name)],
  [/^\/preview\/([^/]+)$/, (name) => tilesOf(name, 8).map(paint)],
  [/^\/times$/, () => ({ mean: paintTimes.amean(), range: paintTimes.range() })],
  [/^\/health$/, () => ({ ok: true })],
];

const server = http.createServer((request, response) => {
  const path = request.url.split("?")[0];
  for (const [pattern, answer] of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(match[1])));
    return;
  }
  response.statusCode = 404;
  response.end();
});
server.listen(Number(process.env.PORT), "127.0.0.1");
