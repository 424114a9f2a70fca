/**
 * A probe of a service that is not there: one report a second with a capture, requests on two routes, of which one
 * retains what it allocates (when `leaks`) and the other lets it go at the next mark-compact; `leakingRoutes` in its place
 * take turns. With `parses` a third of what is retained is allocated by another callee of the handler. No randomness.
 */
"use strict";
const { ROOT, hello, report, route } = require("./probe-messages.js");

const GC_EVERY_SECONDS = 2;
const REQUESTS_PER_SECOND = 40;
const INTERVAL_BYTES = 16_385;

function simulatedProbe({
  root = "/srv/shop",
  leaks = true,
  startMillis = 1_764_064_800_000,
  thread = 0,
  samplesPerSecond = 4,
  leakingRoutes = ["GET /leak/:id"],
  parses = false,
} = {}) {
  const routes = [...leakingRoutes, "GET /clean"].map((name) => route(name));
  const cleanRoute = routes.length;
  const nodes = [
    ROOT,
    { id: 2, parentId: 1, name: "processTicksAndRejections", script: "node:internal/process/task_queues", line: 60 },
    { id: 3, parentId: 2, name: "leakHandler", script: `${root}/server.js`, line: 12, column: 30 },
    { id: 4, parentId: 3, name: "remember", script: `${root}/lib/metrics.js`, line: 5, column: 18 },
    { id: 5, parentId: 2, name: "cleanHandler", script: `file://${root}/clean.mjs`, line: 7, column: 1 },
    { id: 6, parentId: 3, name: "parse", script: `${root}/server.js`, line: 12, column: 60 },
  ];
  let second = 0;
  let ordinal = 0;
  let record = 0;
  let majorCount = 0;
  let live = [];

  function nodeOf(isLeak) {
    if (!isLeak) return 5;
    return parses && (ordinal >> 1) % 3 === 0 ? 6 : 4;
  }

  /** What happens in one second, as the report at its end. */
  function next() {
    second++;
    const timeMillis = startMillis + second * 1_000;
    const ledger = [];
    const records = [];
    for (let index = 0; index < samplesPerSecond * 2; index++) {
      const isLeak = index % 2 === 0;
      ordinal++;
      record++;
      ledger.push([ordinal, ordinal, record]);
      records.push([record, isLeak ? 1 + ((ordinal >> 1) % leakingRoutes.length) : cleanRoute, ordinal]);
      live.push({ ordinal, size: 400, node: nodeOf(isLeak), stays: isLeak && leaks });
    }
    if (second % GC_EVERY_SECONDS === 0) {
      majorCount++;
      live = live.filter((sample) => sample.stays);
    }
    return report({
      thread,
      timeMillis,
      intervalBytes: INTERVAL_BYTES,
      lastOrdinal: ordinal,
      ledger,
      records,
      windows: [[timeMillis, ordinal, majorCount]],
      requests: routes.map((_, index) => [
        timeMillis,
        1 + index,
        1 + index === cleanRoute ? REQUESTS_PER_SECOND : REQUESTS_PER_SECOND / leakingRoutes.length,
      ]),
      firstRouteIndex: second === 1 ? 1 : 1 + routes.length,
      newRoutes: second === 1 ? routes : [],
      capture: { nodes: second === 1 ? nodes : [], samples: live, treeNodeCount: nodes.length },
      gc: { majorCount, postMajorHeapBytes: 20_000_000 + second * 50_000 },
    });
  }

  /** Everything the worker has to be told again after it was restarted. */
  function again(message) {
    return { ...message, firstRouteIndex: 1, newRoutes: routes };
  }

  return { hello: () => hello({ thread }), next, again, nodes };
}

module.exports = { simulatedProbe };
