/**
 * Route names as each framework writes them. The frameworks are installed from test/frameworks, which needs the npm
 * registry, so this runs in CI only.
 */
"use strict";
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { before, test } = require("node:test");
const { APPS, PRELOAD, ROOT, Service, historyLines, temporaryFolder } = require("../harness/service");

const FRAMEWORKS = join(ROOT, "test/frameworks");

before(() => {
  if (existsSync(join(FRAMEWORKS, "node_modules"))) return;
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: FRAMEWORKS, stdio: ["ignore", "ignore", "inherit"] });
});

/** Requests by route name, from the agent's history. */
function requestsByRoute(folder) {
  const counts = {};
  const names = [];
  for (const line of historyLines(folder)) {
    for (const route of line.newRoutes ?? []) names.push(route.name);
    for (const [, route, count] of line.requests ?? []) counts[names[route]] = (counts[names[route]] ?? 0) + count;
  }
  return counts;
}

for (const name of ["express-4", "express-5", "fastify-4", "fastify-5", "koa-2", "koa-3", "hapi"]) {
  test(`${name}: routes have the framework's own names`, async (context) => {
    const folder = temporaryFolder(context);
    const env = {
      LEAK_AGENT_DIR: folder,
      LEAK_AGENT_LOG: "off",
      LEAK_AGENT_HORIZON: "10s",
      LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    };
    const service = new Service(["-r", PRELOAD, join(APPS, "frameworks.mjs"), name], { env });
    context.after(() => service.stop());
    await service.untilPrinted("asked");
    const id = name === "hapi" ? "{id}" : ":id";
    const parts = name === "hapi" ? "{item}/parts/{part}" : ":item/parts/:part";
    // Of Express, which tells nothing of these two: an error has left the router, and something in front has refused them.
    const isExpress = name.startsWith("express");
    const refused = isExpress ? 1 : 0;
    const expected = {
      [`GET /users/${id}`]: 2 + refused,
      [`HEAD /users/${id}`]: 1,
      "GET /shop": 1,
      [`GET /shop/items/${parts}`]: 1 + refused,
      [`GET /slow/${id}`]: 1,
      "(other)": 1,
      ...(isExpress ? { "GET /shop/broken/:id": 1, "GET /shop/nobody": 2 } : {}),
    };
    const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);
    const isCounted = () => sum(requestsByRoute(folder)) === sum(expected);
    await service.until(isCounted, "the history had all requests");
    assert.deepEqual(requestsByRoute(folder), expected);
  });
}
