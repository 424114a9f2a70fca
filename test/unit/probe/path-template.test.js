"use strict";
const assert = require("node:assert/strict");
const { test } = require("node:test");
const { isParameter, PathTemplates } = require("../../../dist/probe/path-template");
const { FROM_PATH } = require("../../../dist/model/owner");
const { OTHER_ROUTE_INDEX, RouteTable } = require("../../../dist/probe/route-table");
const { RowQueue } = require("../../../dist/probe/row-queue");

function make({ maxLiterals = 30, maxRoutes = 1_000 } = {}) {
  const table = new RouteTable(maxRoutes);
  const templates = new PathTemplates(table, maxLiterals, FROM_PATH);
  const routes = [{ name: "(other)" }];
  const aliases = new Map();
  const sync = () => {
    const news = table.takeNews();
    for (const [index, route] of news.newRoutes.entries()) routes[news.firstRouteIndex + index] = route;
    for (const [from, to] of news.routeAliases) aliases.set(from, to);
  };
  return {
    table,
    aliases,
    routes,
    name(path, { method = "GET", suffix = "", mayLearn = true } = {}) {
      const index = templates.routeOf(method, path, suffix, mayLearn);
      sync();
      return routes[index].name;
    },
    /** The name an index has by now. */
    finalName(index) {
      sync();
      let at = index;
      while (aliases.has(at)) at = aliases.get(at);
      return routes[at].name;
    },
    index: (path, suffix = "") => templates.routeOf("GET", path, suffix, true),
  };
}

test("values are told from words", () => {
  const values = [
    "42",
    "0",
    "2024-01-15",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "507f1f77bcf86cd799439011",
    "d41d8cd98f00b204e9800998ecf8427e",
    "sku-1042",
    "user_17",
    "a%20b",
    "me@example.org",
    "V1StGXR8Z5jdHi6B",
    "x".repeat(41),
    "caf\u00e9",
    "1.2.3",
  ];
  const words = [
    "users",
    "v1",
    "oauth2",
    "s3",
    "health",
    "wp-login.php",
    "facade",
    "deadbeef",
    "password-reset-confirmation",
    "a",
    "index.html",
  ];
  for (const value of values) assert.equal(isParameter(value), true, value);
  for (const word of words) assert.equal(isParameter(word), false, word);
});

test("a path becomes a template; query, fragment and slashes do not count", () => {
  const { name } = make();
  assert.equal(name("/"), "GET /");
  assert.equal(name("/?a=/b"), "GET /");
  assert.equal(name("/users/42/orders/507f1f77bcf86cd799439011?secret=1"), "GET /users/:id/orders/:id");
  assert.equal(name("//users/7//orders/"), "GET /users/:id/orders");
  assert.equal(name("/users/7", { method: "HEAD" }), "HEAD /users/:id");
  assert.equal(name("/a#b/c"), "GET /a");
  assert.equal(name("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o"), "GET /a/b/c/d/e/f/g/h/i/j/k/l/*");
});

test("the thirty-first value of a segment makes it a parameter, and the routes issued before are folded", () => {
  const { name, index, finalName, aliases } = make();
  const issued = [];
  for (let i = 0; i < 30; i++) issued.push(index(`/shops/${"abcdefghijklmnopqrstuvwxyzABCD"[i]}/prices`));
  assert.equal(name("/shops/a/prices"), "GET /shops/a/prices");
  assert.equal(name("/shops/another/prices"), "GET /shops/:id/prices");
  assert.equal(name("/shops/a/prices"), "GET /shops/:id/prices");
  assert.equal(aliases.size, 30);
  for (const each of issued) assert.equal(finalName(each), "GET /shops/:id/prices");
});

test("whole subtrees are folded, also where a parameter was known already", () => {
  const { name, index, finalName } = make({ maxLiterals: 2 });
  const numbered = index("/x/1/y");
  const first = index("/x/one/y");
  const deep = index("/x/two/deep/z");
  assert.equal(name("/x/three/y"), "GET /x/:id/y");
  assert.equal(finalName(first), "GET /x/:id/y");
  assert.equal(finalName(numbered), "GET /x/:id/y");
  assert.equal(finalName(deep), "GET /x/:id/deep/z");
});

test("folding makes a position below overflow too", () => {
  const { index, finalName } = make({ maxLiterals: 2 });
  const issued = [index("/a/p"), index("/a/q"), index("/b/r"), index("/b/s")];
  index("/c/t");
  for (const each of issued) assert.equal(finalName(each), "GET /:id/:id");
});

test("requests that met no handler teach nothing", () => {
  const { name } = make();
  for (let i = 0; i < 100; i++) assert.equal(name(`/scan${"x".repeat(i % 20)}/${i}`, { mayLearn: false }), "(other)");
  assert.equal(name("/users"), "GET /users");
  assert.equal(name("/users", { mayLearn: false }), "GET /users");
});

test("the path of a mounted router keeps the router's own template", () => {
  const { name, index, finalName } = make({ maxLiterals: 2 });
  assert.equal(name("/tenants/7", { suffix: "/items/:item" }), "GET /tenants/:id/items/:item");
  const before = index("/a", "/items/:item");
  index("/b", "/items/:item");
  index("/c", "/items/:item");
  assert.equal(finalName(before), "GET /:id/items/:item");
});

test("memory stays bounded by a crawler of a hundred thousand paths", () => {
  const { table, name } = make({ maxRoutes: 50 });
  for (let i = 0; i < 100_000; i++) {
    const words = i
      .toString(36)
      .replace(/\d/g, (digit) => "ghijklmnop"[digit])
      .split("");
    name(`/${words.join("/")}`);
  }
  assert.equal(table.indexOf("GET /one-more", "GET", "/one-more") <= 200, true);
});

test("a full table answers with (other)", () => {
  const { index } = make({ maxRoutes: 10 });
  for (let i = 0; i < 10; i++) assert.notEqual(index(`/r${"x".repeat(i)}`), OTHER_ROUTE_INDEX);
  assert.equal(index("/late"), OTHER_ROUTE_INDEX);
});

test("requests are counted per window, and a restarted worker is told every route again", () => {
  const table = new RouteTable(10);
  const rows = new RowQueue(10);
  const a = table.indexOf("GET /a", "GET", "/a", FROM_PATH);
  const b = table.indexOf("GET /b", "GET", "/b", FROM_PATH);
  for (const index of [a, b, a]) table.countRequest(index);
  assert.equal(table.closeWindow(1_000, rows), 3);
  assert.equal(table.closeWindow(2_000, rows), 0);
  table.countRequest(b);
  assert.equal(table.closeWindow(3_000, rows), 1);
  assert.deepEqual([...rows.take()], [1_000, a, 2, 1_000, b, 1, 3_000, b, 1]);
  assert.deepEqual(
    table.takeNews().newRoutes.map((route) => route.name),
    ["GET /a", "GET /b"],
  );
  assert.deepEqual(table.takeNews().newRoutes, []);
  table.tellAgain();
  assert.equal(table.takeNews().firstRouteIndex, 1);
});

test("of a whole URL in the request line only the path counts", () => {
  const { name } = make();
  assert.equal(name("/a/42/b"), "GET /a/:id/b");
  assert.equal(name("http://127.0.0.1:8080/a/42/b?x=1"), "GET /a/:id/b");
  assert.equal(name("http://example.org"), name("/"));
  assert.equal(name("*"), "GET /*");
  assert.equal(name("/proxy/http://example.org/b"), "GET /proxy/http:/example.org/b");
});
