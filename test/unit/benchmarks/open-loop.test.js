/** The load keeps its schedule whatever the service does, and counts a latency from the intended time. */
"use strict";
const assert = require("node:assert/strict");
const http = require("node:http");
const { once } = require("node:events");
const { test } = require("node:test");
const { OpenLoop } = require("../../../benchmarks/overhead/open-loop");
const { requestMix } = require("../../../benchmarks/overhead/shop");

async function serve(context, handle) {
  const server = http.createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return server.address().port;
}

test("requests that a stalled service delays count their whole wait", async (context) => {
  const held = [];
  let isStalled = true;
  const port = await serve(context, (_request, response) => {
    if (isStalled) held.push(response);
    else response.end("ok");
  });
  const load = new OpenLoop(port, [{ method: "GET", path: "/", token: "t" }]);
  const latencies = [];
  const enough = new Promise((resolve) => {
    load.onLatency = (_intended, millis) => latencies.push(millis) >= 20 && resolve();
  });
  load.start(200, false);
  // A stall of this service: what should have been sent meanwhile is sent, and waits.
  while (held.length < 10) await new Promise((resolve) => setTimeout(resolve, 5));
  isStalled = false;
  for (const response of held) response.end("ok");
  await enough;
  load.stop();
  load.check();
  assert.ok(Math.max(...latencies) >= 30, `the longest wait is seen: ${Math.max(...latencies)} ms`);
});

test("the schedule does not wait: after a stall of the client itself nothing is left out", async (context) => {
  const port = await serve(context, (_request, response) => response.end("ok"));
  const load = new OpenLoop(port, [{ method: "GET", path: "/", token: "t" }]);
  const intended = [];
  const enough = new Promise((resolve) => {
    load.onLatency = (millis) => {
      if (intended.push(millis) === 3) for (const end = performance.now() + 100; performance.now() < end; );
      if (intended.length === 600) resolve();
    };
  });
  load.start(500, false);
  await enough;
  load.stop();
  load.check();
  intended.sort((a, b) => a - b);
  // The last ones are still under way, and answers overtake each other.
  const gaps = intended.slice(1, 150).map((millis, i) => millis - intended[i]);
  assert.ok(Math.max(...gaps) <= 3.01, `the widest gap is 1.5 times the mean of 2 ms: ${Math.max(...gaps)}`);
});

test("every request of the mix is answered by the shop, bodies of some KB included", async (context) => {
  const seen = [];
  const port = await serve(context, (request, response) => {
    let bytes = 0;
    request.on("data", (chunk) => {
      bytes += chunk.length;
    });
    request.on("end", () => {
      seen.push({ method: request.method, bytes });
      response.end("{}");
    });
  });
  const load = new OpenLoop(port, requestMix());
  const enough = new Promise((resolve) => {
    load.onLatency = () => load.answered >= 40 && resolve();
  });
  load.start(2_000, false);
  await enough;
  load.stop();
  load.check();
  const posts = seen.filter(({ method }) => method === "POST");
  assert.ok(posts.length >= 9, `${posts.length} posts`);
  assert.ok(posts.every(({ bytes }) => bytes > 1_000));
});

test("an answer that is no 200 breaks the measurement", async (context) => {
  const port = await serve(context, (_request, response) => {
    response.statusCode = 500;
    response.end("no");
  });
  const load = new OpenLoop(port, [{ method: "GET", path: "/", token: "t" }]);
  load.start(100, false);
  for (let i = 0; i < 400; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    try {
      load.check();
    } catch (error) {
      assert.match(error.message, /unexpected answer/);
      load.stop();
      return;
    }
  }
  assert.fail("the failure was not noticed");
});
