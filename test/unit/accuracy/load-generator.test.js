"use strict";
const assert = require("node:assert/strict");
const { once } = require("node:events");
const http = require("node:http");
const { test } = require("node:test");
const { LoadGenerator } = require("../../../benchmarks/accuracy/load-generator.js");
const { Random, fill, routeLabel } = require("../../../benchmarks/accuracy/request-template.js");

test("placeholders are filled as the corpus describes them", () => {
  const random = new Random(7);
  assert.equal(fill("/a/{id}/b/{id:50}", 120, random), "/a/120/b/20");
  assert.match(fill("{uuid}", 1, random), /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  assert.match(fill("{hex}", 1, random), /^[0-9a-f]{16}$/);
  assert.match(fill("{word}", 1, random), /^[a-z]+$/);
  for (let i = 0; i < 200; i++) assert.ok(Number(fill("{n:40}", i, random)) < 40);
  assert.notEqual(fill("{u}", 1, random), fill("{u}", 2, random));
  assert.equal(fill("{other}", 1, random), "{other}");
});

test("a route's label is its own or its path's template without the query", () => {
  assert.equal(routeLabel({ method: "GET", path: "/a/{id}?q={word}" }), "GET /a/:id");
  assert.equal(routeLabel({ method: "GET", path: "/a/{n:40}", route: "GET /a/:page" }), "GET /a/:page");
});

test("one seed gives one mix", () => {
  const picks = () => {
    const load = new LoadGenerator(
      [
        { path: "/a", weight: 3 },
        { path: "/b", weight: 1 },
      ],
      1,
      42,
    );
    return Array.from({ length: 400 }, () => load.pick().label);
  };
  const first = picks();
  assert.deepEqual(first, picks());
  const ratio = first.filter((label) => label === "GET /a").length / first.length;
  assert.ok(ratio > 0.65 && ratio < 0.85, String(ratio));
});

test("a ramp scales the rate from its first to its last ratio", () => {
  const load = new LoadGenerator([{ path: "/a", rate: 200, ramp: { from: 0.1, to: 1, over: 16 } }], 1);
  assert.equal(load.rateAt(0), 20);
  assert.equal(Math.round(load.rateAt(8)), 110);
  assert.equal(load.rateAt(99), 200);
});

test("answers, errors and bodies are counted by route", async () => {
  const bodies = [];
  const server = http.createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      bodies.push([request.headers["content-type"], text]);
      response.statusCode = request.url === "/bad" ? 500 : 200;
      response.end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const load = new LoadGenerator(
    [{ method: "POST", path: "/ok", body: { id: "{id:9}" } }, { path: "/bad" }],
    server.address().port,
  );
  load.start();
  load.send(load.entries[0]);
  load.send(load.entries[1]);
  while (load.answered["POST /ok"] === 0 || load.errors["GET /bad 500"] === undefined) await once(server, "request");
  load.stop();
  server.closeAllConnections();
  server.close();
  assert.deepEqual(
    bodies.find(([type]) => type !== undefined),
    ["application/json", '{"id":"1"}'],
  );
  assert.ok(load.answered["POST /ok"] >= 1);
  assert.equal(load.answered["GET /bad"], 0);
});

test("an upgraded connection is an answer, and is ended after its time", async () => {
  const server = http.createServer((_request, response) => response.end());
  const closed = once(server, "upgrade").then(([request, socket]) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    socket.resume().on("end", () => socket.end());
    return once(socket, "close").then(() => request.url);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const headers = { connection: "Upgrade", upgrade: "chat" };
  const load = new LoadGenerator([{ path: "/chat", headers, abortAfterMs: 1 }], server.address().port);
  load.timer = 0; // As while a run is on: what is answered then counts.
  load.send(load.entries[0]);
  assert.equal(await closed, "/chat");
  assert.deepEqual(load.answered, { "GET /chat": 1 });
  assert.deepEqual(load.errors, {});
  load.stop();
  server.close();
});
