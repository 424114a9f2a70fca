"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { RouteNames } = require("../../../dist/probe/frameworks");
const { OTHER_ROUTE_INDEX, RouteTable } = require("../../../dist/probe/route-table");

/** The name of a request that no framework has routed. */
function nameOf(response, url = "/watch/quay") {
  const routes = new RouteTable(50);
  const index = new RouteNames(routes).routeOf({ method: "GET", url }, response);
  return index === OTHER_ROUTE_INDEX ? "(other)" : routes.takeNews().newRoutes[0].name;
}

const FINISHED = { statusCode: 200, writableFinished: true, headersSent: true };

test("a plain server's route has the path's template", () => {
  assert.equal(nameOf(FINISHED, "/watch/42?q=1"), "GET /watch/:id");
});

test("a stream that the client left has its route, since a handler had begun to answer", () => {
  assert.equal(nameOf({ ...FINISHED, writableFinished: false }), "GET /watch/quay");
});

test("what no handler has answered teaches no route", () => {
  assert.equal(nameOf({ ...FINISHED, statusCode: 404 }), "(other)");
  assert.equal(nameOf({ ...FINISHED, writableFinished: false, headersSent: false }), "(other)");
});
