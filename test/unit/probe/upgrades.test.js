"use strict";
const assert = require("node:assert/strict");
const { channel } = require("node:diagnostics_channel");
const { once } = require("node:events");
const http = require("node:http");
const net = require("node:net");
const test = require("node:test");
const { setImmediate: turn } = require("node:timers/promises");
const { NoLabels } = require("../../../dist/probe/boundaries");
const { RouteNames } = require("../../../dist/probe/route-names");
const { HttpRequests } = require("../../../dist/probe/http-requests");
const { OwnerLedger } = require("../../../dist/probe/owner-ledger");
const { currentRecord, STILL_OPEN } = require("../../../dist/probe/request-context");
const { RouteTable } = require("../../../dist/probe/route-table");
const { Upgrades } = require("../../../dist/probe/upgrades");

/** The records are carried as where labels work, without a sampler. */
class CarriedOnly extends NoLabels {
  mechanism = "hook";
}

function followUpgrades(labels) {
  const routes = new RouteTable(50);
  const attribution = { labels, ordinals: null, ledger: new OwnerLedger(), routes, names: new RouteNames(routes) };
  const fail = (error) => assert.fail(error);
  const requests = new HttpRequests(attribution, () => {}, fail);
  const upgrades = new Upgrades(attribution, requests, fail);
  requests.follow();
  upgrades.follow();
  return {
    routes,
    stop: () => {
      requests.switchOff();
      upgrades.switchOff();
    },
  };
}

/** Opens one WebSocket-like connection and sends two parts, each after the service has answered the one before. */
async function connectAndSay(port) {
  const socket = net.connect(port, "127.0.0.1");
  socket.write("GET /chat/42?room=quay HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  await once(socket, "data");
  for (const part of ["one", "two"]) {
    socket.write(part);
    await once(socket, "data");
  }
  socket.end();
  await once(socket, "close");
}

async function chatServer(context) {
  const seen = [];
  const closed = [];
  const server = http.createServer((_request, response) => response.end("plain"));
  server.on("upgrade", (_request, socket) => {
    const record = currentRecord();
    seen.push(record);
    socket.on("data", (chunk) => {
      seen.push(currentRecord());
      socket.write(chunk);
    });
    socket.on("end", () => socket.end());
    closed.push(once(socket, "close"));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  return { server, seen, closed };
}

function countsOf(routes) {
  const { newRoutes, firstRouteIndex } = routes.takeNews();
  const counts = {};
  routes.closeWindow(0, {
    push: (_end, index, count) => {
      counts[newRoutes[index - firstRouteIndex]?.name ?? index] = count;
    },
  });
  return counts;
}

test("an upgraded connection and what comes in on it belong to the route of its path, until it closes", async (context) => {
  const { routes, stop } = followUpgrades(new CarriedOnly());
  context.after(stop);
  const { server, seen, closed } = await chatServer(context);
  await connectAndSay(server.address().port);
  await Promise.all(closed);
  await turn();
  await turn();
  assert.equal(seen.length, 3);
  assert.notEqual(seen[0], null);
  assert.equal(seen[1], seen[0]);
  assert.equal(seen[2], seen[0]);
  assert.notEqual(seen[0].endOrdinal, STILL_OPEN, "ended with the connection");
  assert.deepEqual(countsOf(routes), { "GET /chat/:id": 3 });
});

test("a server without an upgrade listener does not get one: Node answers such requests as before", {
  timeout: 10_000,
}, async (context) => {
  const { stop } = followUpgrades(new CarriedOnly());
  context.after(stop);
  const server = http.createServer((_request, response) => response.end("plain")).listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const headers = { connection: "Upgrade", upgrade: "websocket" };
  const request = http.get({ host: "127.0.0.1", port: server.address().port, path: "/chat", headers, agent: false });
  const [response] = await once(request, "response");
  await once(response.resume(), "end");
  assert.equal(response.statusCode, 200);
  assert.equal(server.listenerCount("upgrade"), 0);
});

test("without labels an upgrade is counted, and its socket is left as it is", async (context) => {
  const { routes, stop } = followUpgrades(new NoLabels());
  context.after(stop);
  const { server, seen, closed } = await chatServer(context);
  let hasOwnPush;
  server.on("upgrade", (_request, socket) => {
    hasOwnPush = Object.hasOwn(socket, "push");
  });
  await connectAndSay(server.address().port);
  await Promise.all(closed);
  assert.deepEqual(seen, [null, null, null]);
  assert.equal(hasOwnPush, false);
  assert.deepEqual(countsOf(routes), { "GET /chat/:id": 1 });
});

test("a server that gives its upgrade listener up is left alone again", { timeout: 10_000 }, async (context) => {
  const { stop } = followUpgrades(new CarriedOnly());
  context.after(stop);
  const { server } = await chatServer(context);
  const options = { host: "127.0.0.1", port: server.address().port, path: "/chat", agent: false };
  await connectAndSay(options.port);
  assert.equal(server.listenerCount("upgrade"), 2);
  server.removeListener("upgrade", server.listeners("upgrade")[1]);
  const [plain] = await once(http.get(options), "response");
  await once(plain.resume(), "end");
  assert.equal(server.listenerCount("upgrade"), 0);
  const [answer] = await once(
    http.get({ ...options, headers: { connection: "Upgrade", upgrade: "chat" } }),
    "response",
  );
  await once(answer.resume(), "end");
  assert.equal(answer.statusCode, 200);
});

test("a kept connection is answered by Node once the service has no upgrade listener", {
  timeout: 10_000,
}, async (context) => {
  const { stop } = followUpgrades(new CarriedOnly());
  context.after(stop);
  const { server } = await chatServer(context);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  context.after(() => agent.destroy());
  const ask = async (headers = {}) => {
    const request = http.get({ host: "127.0.0.1", port: server.address().port, agent, headers });
    const [response] = await once(request, "response");
    await once(response.resume(), "end");
    return [response.statusCode, request.reusedSocket];
  };
  assert.deepEqual(await ask(), [200, false]);
  assert.equal(server.listenerCount("upgrade"), 2);
  const own = server.listeners("upgrade")[1];
  server.removeAllListeners("upgrade");
  assert.equal(server.listenerCount("upgrade"), 0);
  assert.deepEqual(await ask({ connection: "Upgrade", upgrade: "chat" }), [200, true]);
  assert.equal(server.listenerCount("removeListener"), 0);
  server.on("upgrade", own);
  await connectAndSay(server.address().port);
  assert.equal(server.listenerCount("upgrade"), 2, "followed again");
});

test("an upgraded socket shows nothing of the agent to those who list its properties", async (context) => {
  const { stop } = followUpgrades(new CarriedOnly());
  context.after(stop);
  const { server } = await chatServer(context);
  const listed = [];
  server.on("upgrade", (_request, socket) => {
    const symbols = Object.getOwnPropertySymbols(socket).filter((symbol) => /leak-agent/.test(String(symbol)));
    listed.push(Object.hasOwn(socket, "push"), Object.keys(socket).includes("push"), symbols.length);
    listed.push(symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(socket, symbol)));
  });
  await connectAndSay(server.address().port);
  assert.deepEqual(listed, [true, false, 1, false]);
});

test("a server that refuses the listener costs the service nothing", () => {
  const errors = [];
  const upgrades = new Upgrades({}, {}, (error) => errors.push(error.message));
  upgrades.follow();
  const server = {
    listenerCount: () => 1,
    prependListener() {
      throw new Error("no more listeners");
    },
  };
  channel("net.server.socket").publish({ socket: { server } });
  upgrades.switchOff();
  assert.deepEqual(errors, ["no more listeners"]);
});
