"use strict";
const assert = require("node:assert/strict");
const { once } = require("node:events");
const http = require("node:http");
const net = require("node:net");
const test = require("node:test");
const { inspect } = require("node:util");
const { setImmediate: turn } = require("node:timers/promises");
const { HookLabels, NoLabels, TURN_UNKNOWN } = require("../../../dist/probe/boundaries");
const { RouteNames } = require("../../../dist/probe/route-names");
const { HttpRequests } = require("../../../dist/probe/http-requests");
const { OwnerLedger } = require("../../../dist/probe/owner-ledger");
const { RequestStamp } = require("../../../dist/probe/request-stamp");
const { RouteTable } = require("../../../dist/probe/route-table");

const COUNTER = { read: () => 0 };

/** One for the process, as in the agent. */
const routes = new RouteTable(50);
const attribution = {
  labels: new NoLabels(),
  ordinals: COUNTER,
  ledger: new OwnerLedger(),
  routes,
  names: new RouteNames(routes),
};
new HttpRequests(
  attribution,
  () => {},
  (error) => assert.fail(error),
).follow();

/** A server that answers `/quick`, and keeps what asks for anything else in `held`. */
async function serve(context, labels = new NoLabels()) {
  attribution.labels = labels;
  const held = [];
  const server = http.createServer((request, response) => {
    if (request.url === "/quick") response.end();
    else held.push(response);
    server.emit("reached", request);
  });
  server.listen(0, "127.0.0.1");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  const counted = () => routes.closeWindow(0, { push: () => {} });
  return { server, held, counted };
}

/** The other side may tell of an error first, which `once` would take for its own. */
async function leave(client, watched) {
  const closed = new Promise((resolve) => watched.once("close", resolve));
  client.destroy();
  await closed;
  await turn();
}

async function ask(server, client, path) {
  const reached = once(server, "reached");
  client.write(`GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`);
  return (await reached)[0];
}

async function askAndRead(server, client) {
  const answered = once(client, "data");
  const request = await ask(server, client, "/quick");
  await answered;
  await turn();
  return request;
}

function connect(server) {
  const client = net.connect(server.address().port, "127.0.0.1");
  client.on("error", () => {}).resume();
  return client;
}

const MECHANISMS = {
  "without labels": () => new NoLabels(),
  "with a hook": () => new HookLabels(COUNTER, attribution.ledger, assert.fail, false),
};

for (const [name, labels] of Object.entries(MECHANISMS)) {
  test(`a request is counted once, whether it is answered or its client leaves, ${name}`, async (context) => {
    const { server, held, counted } = await serve(context, labels());
    const client = connect(server);
    await askAndRead(server, client);
    assert.equal(counted(), 1);
    await askAndRead(server, client);
    await ask(server, client, "/held");
    assert.equal(counted(), 1, "the second on this connection; the third waits");
    await leave(client, held[0]);
    assert.equal(counted(), 1, "the client has left");
    const idle = connect(server);
    const { socket } = await askAndRead(server, idle);
    assert.equal(counted(), 1);
    await leave(idle, socket);
    assert.equal(counted(), 0, "a connection that ends between requests ends none");
  });
}

test("requests that overlap on one connection are each counted once, answered or not", async (context) => {
  const { server, held, counted } = await serve(context);
  const client = connect(server);
  const askTwice = async () => {
    held.length = 0;
    client.write("GET /held HTTP/1.1\r\nhost: test\r\n\r\n".repeat(2));
    while (held.length < 2) await once(server, "reached");
  };
  const answer = async (response) => {
    const closed = once(response, "close");
    response.end();
    await closed;
    await turn();
  };
  await askTwice();
  await answer(held[0]);
  await answer(held[1]);
  assert.equal(counted(), 2);
  await askTwice();
  await answer(held[0]);
  assert.equal(counted(), 1);
  await leave(client, held[1]);
  assert.equal(counted(), 1);
});

/** What the agent has put on a socket. */
function oursOn(socket) {
  const keys = Object.getOwnPropertySymbols(socket).filter((key) => String(key).includes("leak-agent"));
  assert.equal(keys.length, 1);
  return Object.getOwnPropertyDescriptor(socket, keys[0]);
}

test("a connection keeps no response between requests and after its end, and shows nothing of ours to a logger", async (context) => {
  const { server, held } = await serve(context);
  const client = connect(server);
  const { socket } = await askAndRead(server, client);
  const { value, enumerable } = oursOn(socket);
  assert.deepEqual([value, enumerable], [null, false]);
  await ask(server, client, "/held");
  assert.equal(oursOn(socket).value, held[0]);
  await leave(client, held[0]);
  assert.equal(oursOn(socket).value, null);
});

test("where turns are not counted a request ends with its turn, else at once", () => {
  assert.equal(MECHANISMS["with a hook"]().turn, TURN_UNKNOWN);
  assert.notEqual(new NoLabels().turn, TURN_UNKNOWN);
});

test("nothing that looks at a request, or copies it, sees the agent's record", async (context) => {
  const { server } = await serve(context);
  const client = connect(server);
  const request = await ask(server, client, "/quick");
  const names = Reflect.ownKeys(request).map(String);
  assert.deepEqual(
    names.filter((name) => /leak-agent|record/i.test(name)),
    [],
  );
  assert.doesNotMatch(inspect(request, { showHidden: true, depth: 0 }), /leak-agent|RequestRecord/);
  assert.ok(RequestStamp.of(request) !== undefined);
  client.destroy();
});
