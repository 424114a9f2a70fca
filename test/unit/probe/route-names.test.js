"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const v8 = require("node:v8");
const vm = require("node:vm");
const { RouteNames } = require("../../../dist/probe/route-names");
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

v8.setFlagsFromString("--expose-gc");
const collectGarbage = vm.runInNewContext("gc");

/** What Express leaves on a request. */
function expressRequest(method, declared, baseUrl = "") {
  return { method, url: "/", baseUrl, route: declared };
}

function namesOf(routes) {
  const { newRoutes } = routes.takeNews();
  return newRoutes.map(({ name }) => name);
}

test("a declared route is named once for each method and for each path it is mounted on", () => {
  const routes = new RouteTable(50);
  const names = new RouteNames(routes);
  const declared = { path: "/items/:id", stack: [] };
  const asked = [
    ["GET", ""],
    ["PUT", ""],
    ["GET", ""],
    ["GET", "/v1"],
    ["GET", "/v2"],
    ["PUT", ""],
  ];
  const indexes = asked.map(([method, baseUrl]) => names.routeOf(expressRequest(method, declared, baseUrl), FINISHED));
  assert.deepEqual(indexes, [1, 2, 1, 3, 4, 2]);
  assert.deepEqual(namesOf(routes), ["GET /items/:id", "PUT /items/:id", "GET /v1/items/:id", "GET /v2/items/:id"]);
});

test("what a declared route is called is worked out once, on a mounted router too", () => {
  for (const baseUrl of ["", "/v1"]) {
    const names = new RouteNames(new RouteTable(50));
    let reads = 0;
    const declared = {
      get path() {
        reads++;
        return "/items/:id";
      },
    };
    const readsOfOne = () => {
      const before = reads;
      names.routeOf(expressRequest("GET", declared, baseUrl), FINISHED);
      return reads - before;
    };
    assert.deepEqual([readsOfOne(), readsOfOne(), readsOfOne()], [2, 1, 1], "the last look is whether there is a path");
  }
});

test("where a router is mounted on a parameter, each of its values has the same route, also the first ones", () => {
  const routes = new RouteTable(500);
  const names = new RouteNames(routes);
  const declared = { path: "/items" };
  const indexOf = (baseUrl) => names.routeOf(expressRequest("GET", declared, baseUrl), FINISHED);
  const numbered = indexOf("/tenants/17");
  assert.equal(indexOf("/tenants/18"), numbered);
  assert.deepEqual(Object.getOwnPropertySymbols(declared), [], "no value of a parameter is kept");
  const first = indexOf("/shops/a");
  for (let i = 0; i < 300; i++)
    indexOf(`/shops/${"ab".repeat(3)}${String.fromCharCode(97 + (i % 26))}${"z".repeat(i / 26)}`);
  const last = indexOf("/shops/quite-another");
  const { newRoutes, firstRouteIndex, routeAliases } = routes.takeNews();
  const templateAt = (index) => newRoutes[index - firstRouteIndex].template;
  assert.equal(templateAt(numbered), "/tenants/:id/items");
  assert.equal(templateAt(last), "/shops/:id/items");
  assert.equal(new Map(routeAliases).get(first), last, "what was counted for the first goes to the template");
  assert.equal(new Map(routeAliases).get(indexOf("/shops/a")) ?? indexOf("/shops/a"), last);
});

test("a declared route keeps the path it is mounted on, not the URL that it was cut from", () => {
  const names = new RouteNames(new RouteTable(50));
  const heapAfterGc = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = heapAfterGc();
  const kept = Array.from({ length: 20 }, (_, i) => {
    const declared = { path: `/items${i}` };
    const url = `/api/version-one/items?note=${String(i).repeat(1_000_000)}`;
    names.routeOf(expressRequest("GET", declared, url.slice(0, 16)), FINISHED);
    return declared;
  });
  assert.ok(heapAfterGc() - before < 5_000_000);
  assert.equal(kept.length, 20);
});

test("a declared route looks to the service as it did, and a frozen one is named as well", () => {
  const names = new RouteNames(new RouteTable(50));
  const declared = { path: "/a" };
  const frozen = Object.freeze({ path: "/b" });
  const both = () => [declared, frozen].map((route) => names.routeOf(expressRequest("GET", route), FINISHED));
  assert.deepEqual(
    [both(), both()],
    [
      [1, 2],
      [1, 2],
    ],
  );
  assert.equal(require("node:util").inspect(declared), "{ path: '/a' }");
  assert.deepEqual(Object.assign({}, declared), { path: "/a" });
});

test("where each request brings a route object of its own, not every one is marked", () => {
  const names = new RouteNames(new RouteTable(50));
  const isMarked = () => {
    const route = { path: "/a" };
    names.routeOf(expressRequest("GET", route), FINISHED);
    return Object.getOwnPropertySymbols(route).length > 0;
  };
  const shared = { path: "/b" };
  for (let i = 0; i < 40_000; i++) names.routeOf(expressRequest(i % 2 === 0 ? "GET" : "PUT", shared), FINISHED);
  assert.equal(isMarked(), true);
  for (let i = 0; i < 20_000; i++) isMarked();
  assert.equal(isMarked(), false);
});

test("a route that found the table full is asked for again", () => {
  const routes = new RouteTable(30);
  const names = new RouteNames(routes);
  const late = { path: "/late" };
  const ask = (url) => names.routeOf({ method: "GET", url }, FINISHED);
  for (let i = 0; i < 30; i++) ask(`/${"x".repeat(i + 1)}`);
  assert.equal(names.routeOf(expressRequest("GET", late), FINISHED), OTHER_ROUTE_INDEX);
  ask("/one-too-many"); // 30 names become one.
  assert.notEqual(names.routeOf(expressRequest("GET", late), FINISHED), OTHER_ROUTE_INDEX);
});

/** What Express leaves on a request that met no route. */
function unroutedRequest(method, url) {
  return { method, url, originalUrl: url, baseUrl: "" };
}

const REFUSED = { ...FINISHED, statusCode: 401 };

/** A service whose routes were met, and the names of what it is asked then. */
function shop() {
  const routes = new RouteTable(500);
  const names = new RouteNames(routes);
  const told = ["(other)"];
  const nameAt = (index) => {
    told.push(...namesOf(routes));
    return told[index];
  };
  const met = (method, declared, baseUrl = "", url = declared.path) =>
    nameAt(names.routeOf({ ...expressRequest(method, declared, baseUrl), url }, FINISHED));
  const unrouted = (method, url, response = REFUSED) => nameAt(names.routeOf(unroutedRequest(method, url), response));
  const plain = (url, response = FINISHED) => nameAt(names.routeOf({ method: "GET", url }, response));
  return { routes, names, met, unrouted, plain };
}

test("paths that turn out to be parameters do not take declared routes of the same name with them", () => {
  const { routes, names, unrouted } = shop();
  const before = { path: "/orders" };
  const after = { path: "/carts" };
  const indexOf = (declared) => names.routeOf(expressRequest("GET", declared), FINISHED);
  unrouted("GET", "/orders", FINISHED);
  unrouted("GET", "/carts", FINISHED);
  const index = indexOf(before);
  for (let i = 0; i < 40; i++) unrouted("GET", `/${"p".repeat(i + 1)}`, FINISHED);
  assert.equal(indexOf(before), index);
  routes.tellAgain();
  const { newRoutes, firstRouteIndex, routeAliases } = routes.takeNews();
  const late = indexOf(after);
  const aliases = new Map(routeAliases);
  assert.ok(aliases.size >= 30, "the paths were folded");
  assert.deepEqual([aliases.has(index), aliases.has(late)], [false, false]);
  assert.equal(newRoutes[index - firstRouteIndex].name, "GET /orders");
  assert.equal(routes.templateAt(late), "/carts");
});

test("a scan of a service that refuses everything leaves a plain server's routes as they are", () => {
  const { plain } = shop();
  assert.equal(plain("/orders"), "GET /orders");
  for (let i = 0; i < 100; i++)
    plain(`/${"scan".repeat(1 + (i % 9))}-${String.fromCharCode(97 + (i % 26))}/x`, REFUSED);
  assert.equal(plain("/orders"), "GET /orders");
  assert.equal(plain("/orders", REFUSED), "GET /orders", "what is known is used");
  assert.equal(plain("/carts"), "GET /carts");
  assert.equal(plain("/anything-at-all", REFUSED), "GET /:id", "of what is refused, much is one route");
});

test("what is sent away in front of Express's routes, and preflights, leave its plain paths as they are", () => {
  for (const [method, statusCode] of [
    ["GET", 302],
    ["OPTIONS", 204],
  ]) {
    const { unrouted } = shop();
    for (let i = 0; i < 40; i++) unrouted(method, `/${"p".repeat(i + 1)}`, { ...FINISHED, statusCode });
    assert.equal(unrouted("GET", "/static", FINISHED), "GET /static", `after ${statusCode}`);
  }
});

test("a plain route that was refused once is not folded with what is refused", () => {
  const { routes, names, plain } = shop();
  plain("/carts", REFUSED);
  plain("/carts");
  const index = names.routeOf({ method: "GET", url: "/carts" }, FINISHED);
  for (let i = 0; i < 40; i++) plain(`/${"p".repeat(i + 1)}`, REFUSED);
  routes.tellAgain();
  const aliases = new Map(routes.takeNews().routeAliases);
  assert.ok(aliases.size > 0);
  assert.equal(aliases.has(index), false);
});

test("what middleware answers in front of a declared route has that route's name", () => {
  const { met, unrouted } = shop();
  met("GET", { path: "/users/:name" });
  met("GET", { path: "/users/me" });
  met("GET", { path: "/users/:name/posts" });
  met("GET", { path: "/:item/parts" }, "/shop/v1");
  assert.equal(unrouted("GET", "/users/alice?token=1"), "GET /users/:name");
  assert.equal(unrouted("GET", "/users/me", { ...FINISHED, statusCode: 302 }), "GET /users/me");
  assert.equal(unrouted("GET", "/users/me/posts"), "GET /users/:name/posts");
  assert.equal(unrouted("GET", "/shop/v1/lamp/parts/"), "GET /shop/v1/:item/parts");
  assert.equal(unrouted("OPTIONS", "/users/alice"), "OPTIONS /users/:name");
  assert.equal(unrouted("OPTIONS", "/shop/v1/lamp/parts"), "OPTIONS /shop/v1/:item/parts");
  assert.equal(unrouted("GET", "/users/bob", FINISHED), "GET /users/:name", "a cache in front");
  assert.equal(unrouted("GET", "/users/alice", { ...FINISHED, statusCode: 404 }), "(other)");
  assert.equal(unrouted("DELETE", "/users/me"), "DELETE /users/me", "no declared route: its path");
});

test("an error that has left its router is the route's, whose mount path Express has taken back", () => {
  for (const isFirst of [true, false]) {
    const { met } = shop();
    const declared = { path: "/:id" };
    const inside = () => met("GET", declared, "/users", "/42");
    if (!isFirst) assert.equal(inside(), "GET /users/:id");
    assert.equal(met("GET", declared, "", "/users/42?full=1"), "GET /users/:id");
    assert.equal(inside(), "GET /users/:id");
    assert.equal(met("POST", { path: "/" }, "", "/orders"), "POST /orders");
    assert.equal(met("GET", { path: "/parts/:id" }, "/api", "/items/7/parts/8"), "GET /api/items/:id/parts/:id");
  }
});

test("a path that is not declared word by word says nothing of where its router is mounted", () => {
  const { met } = shop();
  assert.equal(met("GET", { path: "/files/*" }, "", "/files/a/b/c"), "GET /files/*");
  assert.equal(met("GET", { path: /^\/x/ }, "", "/x/y/z"), "GET /^\\/x/");
  assert.equal(met("GET", { path: "/users/:id" }, "", "/users/1/"), "GET /users/:id");
});
