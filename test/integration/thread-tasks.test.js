/** What a request has another thread do is billed to that request's route, in each way that pools pass tasks. */
"use strict";
const assert = require("node:assert/strict");
const { join } = require("node:path");
const test = require("node:test");
const { APPS, PRELOAD, Service, historyLines, temporaryFolder } = require("../harness/service");

const MIN_SAMPLES = 200;

function start(way, folder) {
  const env = {
    LEAK_AGENT_DIR: folder,
    LEAK_AGENT_HORIZON: "10s",
    LEAK_AGENT_LOG: "stderr",
    LEAK_AGENT_PAUSE_BUDGET_MS: "1000",
    LEAK_AGENT_SAMPLING_INTERVAL: "65537",
  };
  return new Service(["-r", PRELOAD, join(APPS, "pool-service.js"), way], { env, deadlineMillis: 90_000 });
}

/** Owners of the matured samples that a keep function made in a worker thread, by the route it is named after. */
function ownersOfTasks(folder) {
  const routes = [];
  const frames = [];
  const stacks = [];
  const owners = { right: 0, wrong: 0, background: 0, unattributed: 0 };
  for (const line of historyLines(folder)) {
    routes.push(...(line.newRoutes ?? []));
    frames.push(...(line.newFrames ?? []));
    stacks.push(...(line.newStacks ?? []));
    if (line.thread === 0) continue;
    for (const { stack, route, kind } of line.matured ?? []) {
      const names = (stacks[stack] ?? []).map((frame) => frames[frame].function);
      const keep = names.find((name) => name.startsWith("keep_"));
      if (keep === undefined) continue;
      const isRight = kind === "request" && routes[route]?.template === `/${keep.at(-1)}`;
      if (isRight) owners.right++;
      else if (kind === "background" || kind === "unattributed") owners[kind]++;
      else if (kind !== "startup") owners.wrong++; // Before the agent was awake nobody is named.
    }
  }
  return owners;
}

const total = ({ right, wrong, background, unattributed }) => right + wrong + background + unattributed;

for (const way of ["parent", "channel", "queued", "atomics", "microtasks"]) {
  test(`a task passed by ${way} belongs to the route that asked for it`, async (context) => {
    const folder = temporaryFolder(context);
    const service = start(way, folder);
    context.after(() => service.stop());
    const owners = await service.until(() => {
      const seen = ownersOfTasks(folder);
      return total(seen) >= MIN_SAMPLES ? seen : null;
    }, `${MIN_SAMPLES} samples of tasks matured`);
    context.diagnostic(JSON.stringify(owners));
    assert.ok(owners.right >= 0.99 * total(owners), JSON.stringify(owners));
    assert.equal(owners.wrong, 0, JSON.stringify(owners));
    service.say("leave");
    const { code, signal } = await service.ended;
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
  });
}
