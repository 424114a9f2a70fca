/** Nothing of a request is kept by the agent, and its own memory does not grow with the number of requests. */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const { test } = require("node:test");
const { APPS, PRELOAD, Service, temporaryFolder } = require("../harness/service");

/** Student's two-sided 95 % quantile for the 23 degrees of freedom of 25 points. */
const QUANTILE = 2.07;

function run(app, env, deadlineMillis) {
  return new Service(["--expose-gc", "-r", PRELOAD, join(APPS, app)], { env, deadlineMillis }).ended;
}

function settings(folder, extra) {
  return { LEAK_AGENT_DIR: folder, LEAK_AGENT_LOG: "off", LEAK_AGENT_HORIZON: "30s", ...extra };
}

for (const labels of ["auto", "hook"]) {
  test(`no request, response, store or span outlives its request (labels ${labels})`, async (context) => {
    const env = settings(temporaryFolder(context), { LEAK_AGENT_LABELS: labels, LEAK_AGENT_SAMPLING_INTERVAL: "4099" });
    const { code, stdout, stderr } = await run("forgetful-service.js", env, 60_000);
    assert.equal(code, 0, stderr);
    const { requests, kept, agent } = JSON.parse(stdout);
    assert.equal(requests, 60, `${requests} requests`);
    assert.equal(agent.state, "awake");
    assert.notEqual(agent.labels, "none");
    assert.deepEqual(kept, { request: 0, response: 0, store: 0, span: 0 });
  });
}

/** Least squares; @returns the upper end of the slope's 95 % interval. */
function upperSlope(points) {
  const n = points.length;
  const meanX = points.reduce((sum, point) => sum + point.requests, 0) / n;
  const meanY = points.reduce((sum, point) => sum + point.heapUsed, 0) / n;
  let sxx = 0;
  let sxy = 0;
  for (const point of points) {
    sxx += (point.requests - meanX) ** 2;
    sxy += (point.requests - meanX) * (point.heapUsed - meanY);
  }
  const slope = sxy / sxx;
  const residual = points.reduce((sum, p) => sum + (p.heapUsed - meanY - slope * (p.requests - meanX)) ** 2, 0);
  return slope + QUANTILE * Math.sqrt(residual / (n - 2) / sxx);
}

test("main-thread state is flat over a million requests and 5,000 routes: under 1 B per request", async (context) => {
  const env = settings(temporaryFolder(context), {});
  const { code, stdout, stderr } = await run("million-requests.js", env, 150_000);
  assert.equal(code, 0, stderr);
  const { points, agent } = JSON.parse(stdout);
  assert.equal(agent.state, "awake");
  assert.equal(agent.hookErrors, 0);
  assert.ok(upperSlope(points) < 1, `heap: ${upperSlope(points)} B/request`);
  // Reports change hands without a copy: their memory comes and goes with the worker's collections.
  assert.ok(Math.max(...points.map((point) => point.arrayBuffers)) < 16_000_000);
});
