"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { decodeCapture } = require("../../../dist/model/capture.js");
const { Dictionary } = require("../../../dist/worker/dictionary.js");
const { ServiceThread } = require("../../../dist/worker/service-thread.js");
const { ROOT, report, route } = require("./probe-messages.js");

const OTHER = { name: "(other)", method: null, template: null };
const ROUTES = { firstRouteIndex: 0, newRoutes: [OTHER, route("GET /a"), route("GET /b")] };
const NODES = [
  ROOT,
  { id: 2, parentId: 1, name: "handle", script: "file:///srv/app/server.js", line: 3, column: 9 },
  { id: 3, parentId: 2, name: "keep", script: "/srv/app/store.js", line: 7, column: 1 },
];

/** One thread of a service, fed with reports; answers what the worker made of each. */
function thread(resumed) {
  const dictionary = new Dictionary();
  const state = new ServiceThread(0, dictionary, resumed);
  const feed = (given, labelled = true) => {
    const message = report(given);
    const { live, restarted } = state.lifeOf(message);
    state.absorbRoutes(message);
    const capture = message.capture === null ? null : decodeCapture(message.capture);
    return { restarted, live, outcome: live.absorb(message, capture, labelled) };
  };
  return { dictionary, feed };
}

const samplesAt = (...ordinals) => ordinals.map((ordinal) => ({ ordinal, size: 100, node: 3 }));

describe("maturity", () => {
  it("comes with the second mark-compact after the birth window closed, once", () => {
    const { dictionary, feed } = thread();
    const birth = { windows: [[2_000, 10, 5]], ledger: [[1, 10, 7]], records: [[7, 1, 10]], ...ROUTES };
    const first = feed({ ...birth, capture: { nodes: NODES, samples: samplesAt(4) }, gc: { majorCount: 6 } });
    assert.deepEqual(first.outcome.matured, []);
    const second = feed({ capture: { samples: samplesAt(4), treeNodeCount: 3 }, gc: { majorCount: 7 } });
    assert.deepEqual(second.outcome.matured, [
      { key: "0.1.4", bornMillis: 2_000, kind: "request", route: 1, stack: 0, sizeBytes: 100 },
    ]);
    const { newFrames, newStacks } = dictionary.takeNews();
    const stack = newStacks[0].map((index) => newFrames[index]);
    assert.deepEqual(stack, [
      { function: "handle", file: "/srv/app/server.js", line: 3, column: 9 },
      { function: "keep", file: "/srv/app/store.js", line: 7, column: 1 },
    ]);
    const third = feed({ capture: { samples: samplesAt(4), treeNodeCount: 3 }, gc: { majorCount: 9 } });
    assert.deepEqual(third.outcome.matured, []);
  });

  it("is counted from the window of birth, not from the first capture that saw the sample", () => {
    const { feed } = thread();
    const { outcome } = feed({
      windows: [
        [1_000, 5, 0],
        [2_000, 9, 2],
        [3_000, 20, 3],
      ],
      ledger: [[1, 20, 0]],
      capture: { nodes: NODES, samples: samplesAt(5, 6, 10) },
      gc: { majorCount: 4 },
    });
    assert.deepEqual(
      outcome.matured.map((sample) => [sample.key, sample.bornMillis]),
      [
        ["0.1.5", 1_000],
        ["0.1.6", 2_000],
      ],
    );
  });

  it("waits for a window that is still open", () => {
    const { feed } = thread();
    const given = { ledger: [[1, 30, 0]], windows: [[1_000, 5, 0]], gc: { majorCount: 9 } };
    const open = feed({ ...given, capture: { nodes: NODES, samples: samplesAt(12) } });
    assert.equal(open.outcome.matured.length, 0);
    const closed = feed({ windows: [[2_000, 20, 7]], capture: { samples: samplesAt(12) }, gc: { majorCount: 9 } });
    assert.equal(closed.outcome.matured[0].bornMillis, 2_000);
  });

  it("makes a later absence a death, an earlier one nothing", () => {
    const { feed } = thread();
    const given = {
      ledger: [[1, 30, 0]],
      windows: [
        [1_000, 5, 0],
        [2_000, 30, 4],
      ],
    };
    feed({ ...given, capture: { nodes: NODES, samples: samplesAt(4, 5, 8) }, gc: { majorCount: 4 } });
    const { outcome } = feed({ capture: { samples: samplesAt(5) }, gc: { majorCount: 5 } });
    assert.deepEqual(outcome.freed, ["0.1.4"]);
    assert.equal(outcome.liveSampleCount, 1);
  });

  it("ends with the sampler's life: its samples are not freed, and the next life says so", () => {
    const { feed } = thread();
    const given = { ledger: [[1, 30, 0]], windows: [[1_000, 30, 0]], gc: { majorCount: 4 } };
    assert.equal(feed({ ...given, capture: { nodes: NODES, samples: samplesAt(4) } }).outcome.matured.length, 1);
    const next = feed({ epoch: 2, capture: { nodes: NODES, samples: [] }, gc: { majorCount: 5 } });
    assert.equal(next.restarted, true);
    assert.deepEqual(next.outcome.freed, []);
  });
});

describe("owners", () => {
  const OWNERS = [
    [[1, 10, 7], "request"],
    [[1, 10, 0], "background"],
    [[1, 10, -1], "startup"],
    [[1, 10, -2], "unattributed"],
  ];
  for (const [range, kind] of OWNERS) {
    it(`are read from the ledger: ${kind}`, () => {
      const { feed } = thread();
      const { outcome } = feed({
        ...ROUTES,
        ledger: [range],
        records: [[7, 2, 10]],
        windows: [[1_000, 10, 0]],
        capture: { nodes: NODES, samples: samplesAt(4) },
        gc: { majorCount: 2 },
      });
      assert.equal(outcome.matured[0].kind, kind);
      assert.equal(outcome.matured[0].route, kind === "request" ? 2 : -1);
      assert.equal(outcome.labelledRatio, kind === "unattributed" ? 0 : 1);
    });
  }

  it("become background of the route after the ordinal at which the response had ended", () => {
    const { feed } = thread();
    const { outcome } = feed({
      ...ROUTES,
      ledger: [[1, 10, 7]],
      records: [[7, 2, 5]],
      windows: [[1_000, 10, 0]],
      capture: { nodes: NODES, samples: samplesAt(5, 6) },
      gc: { majorCount: 2 },
    });
    assert.deepEqual(
      outcome.matured.map(({ kind, route: index }) => [kind, index]),
      [
        ["request", 2],
        ["background-of", 2],
      ],
    );
  });

  it("wait for the end of a running request, but not for ever", () => {
    const { feed } = thread();
    const open = { ledger: [[1, 10, 7]], records: [[7, 2, Number.POSITIVE_INFINITY]], windows: [[1_000, 10, 0]] };
    const samples = samplesAt(4);
    const gc = { majorCount: 8 };
    const running = feed({ ...ROUTES, ...open, timeMillis: 5_000, capture: { nodes: NODES, samples }, gc });
    assert.equal(running.outcome.matured.length, 0);
    const stillRunning = feed({ timeMillis: 61_000, capture: { samples }, gc });
    assert.equal(stillRunning.outcome.matured.length, 0);
    const tooLong = feed({ timeMillis: 61_001, capture: { samples }, gc });
    assert.equal(tooLong.outcome.matured[0].kind, "unattributed");
  });

  it("are known once the request ends, in a later report", () => {
    const { feed } = thread();
    const gc = { majorCount: 8 };
    const capture = { nodes: NODES, samples: samplesAt(4) };
    feed({ ...ROUTES, timeMillis: 5_000, ledger: [[4, 4, 7]], windows: [[1_000, 10, 0]], capture, gc });
    feed({ timeMillis: 6_000, records: [[7, 1, 9]] });
    const { outcome } = feed({ timeMillis: 7_000, capture, gc });
    assert.deepEqual([outcome.matured[0].kind, outcome.matured[0].route], ["request", 1]);
  });

  it("leave the agent's own allocations out of what matures and is freed", () => {
    const { feed } = thread();
    const given = { ledger: [[1, 10, -3]], windows: [[1_000, 10, 0]], gc: { majorCount: 2 } };
    const seen = feed({ ...given, capture: { nodes: NODES, samples: samplesAt(4) } });
    assert.deepEqual(seen.outcome.matured, []);
    assert.equal(seen.live.agentSamples, 1);
    assert.deepEqual(feed({ capture: { samples: [] }, gc: { majorCount: 3 } }).outcome.freed, []);
  });

  it("are unattributed below the first labelled ordinal, except at start-up", () => {
    const { feed } = thread();
    const { outcome } = feed({
      ...ROUTES,
      labelsFromOrdinal: 6,
      ledger: [
        [1, 3, -1],
        [4, 6, 7],
        [7, 10, 7],
      ],
      records: [[7, 1, 20]],
      windows: [[1_000, 10, 0]],
      capture: { nodes: NODES, samples: samplesAt(2, 5, 8) },
      gc: { majorCount: 2 },
    });
    assert.deepEqual(
      outcome.matured.map((sample) => sample.kind),
      ["startup", "unattributed", "request"],
    );
  });

  it("are all unattributed without labels, and the ratio is unknown", () => {
    const { feed } = thread();
    const given = { ledger: [[1, 10, 7]], records: [[7, 1, 10]], windows: [[1_000, 10, 0]], gc: { majorCount: 2 } };
    const { outcome } = feed({ ...ROUTES, ...given, capture: { nodes: NODES, samples: samplesAt(4) } }, false);
    assert.equal(outcome.matured[0].kind, "unattributed");
    assert.equal(outcome.labelledRatio, null);
  });
});

describe("cross-checks", () => {
  const labelled = { ...ROUTES, ledger: [[1, 50, 7]], records: [[7, 1, 50]], windows: [[1_000, 50, 0]] };
  const BROKEN = [
    ["an ordinal above the counter", { lastOrdinal: 9, samples: samplesAt(4, 10) }, /above the counter/],
    ["an ordinal that comes twice", { lastOrdinal: 50, samples: samplesAt(4, 4) }, /came twice/],
  ];
  for (const [name, { lastOrdinal, samples }, expected] of BROKEN) {
    it(`give up the labels of the sampler's life on ${name}, told once`, () => {
      const { feed } = thread();
      const gc = { majorCount: 2 };
      const first = feed({ ...labelled, lastOrdinal, capture: { nodes: NODES, samples }, gc });
      assert.match(first.outcome.labelProblem, expected);
      assert.ok(first.outcome.matured.every((sample) => sample.kind === "unattributed"));
      const second = feed({ lastOrdinal, capture: { samples }, gc });
      assert.equal(second.outcome.labelProblem, null);
      const third = feed({
        epoch: 2,
        ...labelled,
        lastOrdinal: 60,
        capture: { nodes: NODES, samples: samplesAt(4) },
        gc,
      });
      assert.equal(third.outcome.matured[0].kind, "request");
    });
  }

  it("give up the labels when the counter goes backwards", () => {
    const { feed } = thread();
    feed({ ...labelled, lastOrdinal: 40, capture: { nodes: NODES, samples: samplesAt(4) } });
    assert.match(feed({ lastOrdinal: 39, capture: { samples: samplesAt(4) } }).outcome.labelProblem, /went back/);
  });

  it("are content with an honest stream", () => {
    const { feed } = thread();
    const first = feed({ ...labelled, lastOrdinal: 10, capture: { nodes: NODES, samples: samplesAt(10, 4) } });
    assert.equal(first.outcome.labelProblem, null);
    assert.equal(feed({ lastOrdinal: 10, capture: { samples: samplesAt(4, 10) } }).outcome.labelProblem, null);
  });
});

describe("names", () => {
  it("are asked for again when a sample stands on an unknown node", () => {
    const { feed } = thread();
    assert.equal(feed({ capture: { nodes: [], samples: samplesAt(4), treeNodeCount: 3 } }).outcome.needsNames, true);
    assert.equal(feed({ capture: { nodes: NODES, samples: samplesAt(4) } }).outcome.needsNames, false);
  });

  it("are asked for again when a route's number is unknown, and the sample waits for it", () => {
    const { feed } = thread();
    const given = { ledger: [[1, 10, 7]], records: [[7, 2, 10]], windows: [[1_000, 10, 0]], gc: { majorCount: 2 } };
    const first = feed({ ...given, capture: { nodes: NODES, samples: samplesAt(4) } });
    assert.equal(first.outcome.needsNames, true);
    assert.equal(first.outcome.matured.length, 0);
    const second = feed({ ...ROUTES, capture: { samples: samplesAt(4) }, gc: { majorCount: 2 } });
    assert.equal(second.outcome.needsNames, false);
    assert.equal(second.outcome.matured[0].route, 2);
  });

  it("of nodes without live samples are dropped, those above a live one stay", () => {
    const { feed } = thread();
    const many = Array.from({ length: 2_000 }, (_, index) => ({ id: 10 + index, parentId: 2, name: `f${index}` }));
    feed({ capture: { nodes: [...NODES, ...many], samples: [{ ordinal: 1, size: 9, node: 3 }] } });
    const { live } = feed({ capture: { samples: [{ ordinal: 1, size: 9, node: 3 }], treeNodeCount: 3 } });
    assert.equal(live.nodes.size, 3);
    assert.equal(live.nodes.get(3).parent.frame.function, "handle");
  });
});

describe("routes", () => {
  it("that were folded count for the other one, also for samples seen before", () => {
    const { dictionary, feed } = thread();
    const given = { ledger: [[1, 10, 7]], records: [[7, 1, 10]], windows: [[1_000, 10, 0]] };
    feed({ ...ROUTES, ...given, capture: { nodes: NODES, samples: samplesAt(4) }, gc: { majorCount: 1 } });
    const { outcome } = feed({ routeAliases: [[1, 2]], capture: { samples: samplesAt(4) }, gc: { majorCount: 2 } });
    assert.equal(outcome.matured[0].route, 2);
    assert.deepEqual(dictionary.takeNews().routeAliases, [[1, 2]]);
  });
});

describe("a resumed life", () => {
  it("follows what had matured, frees what is gone, and ignores what it cannot know", () => {
    const matured = new Map([
      [4, { kind: "request", route: 1 }],
      [5, { kind: "request", route: 1 }],
    ]);
    const { feed } = thread({ epoch: 1, matured });
    const given = { ledger: [[20, 30, 0]], windows: [[9_000, 30, 7]], gc: { majorCount: 9 } };
    const { restarted, live, outcome } = feed({ ...given, capture: { nodes: NODES, samples: samplesAt(4, 6, 25) } });
    assert.equal(restarted, false);
    assert.deepEqual(outcome.freed, ["0.1.5"]);
    assert.deepEqual(
      outcome.matured.map((sample) => sample.key),
      [`0.1.${(25).toString(36)}`],
    );
    assert.equal(live.orphanedSamples, 1);
    assert.deepEqual(feed({ capture: { samples: samplesAt(25) }, gc: { majorCount: 9 } }).outcome.freed, ["0.1.4"]);
  });

  it("in another sampler life starts anew and says so", () => {
    const { feed } = thread({ epoch: 1, matured: new Map([[4, { kind: "background", route: -1 }]]) });
    const { restarted, outcome } = feed({ epoch: 2, capture: { nodes: NODES, samples: samplesAt(4) } });
    assert.equal(restarted, true);
    assert.deepEqual(outcome.freed, []);
  });
});

describe("records of ended requests", () => {
  const samples = samplesAt(500_001);
  const late = { ledger: [[500_001, 500_001, 3]], windows: [[9_000, 500_001, 0]], lastOrdinal: 500_001 };
  const records = (first, count) => Array.from({ length: count }, (_, index) => [first + index, 1, 1_000 + index]);

  it("are remembered for timers that go on allocating, across a hundred thousand later ones", () => {
    const { feed } = thread();
    feed({ ...ROUTES, records: [[3, 2, 9]] });
    for (let first = 4; first < 100_000; first += 10_000) feed({ records: records(first, 10_000) });
    const { outcome } = feed({ ...late, capture: { nodes: NODES, samples }, gc: { majorCount: 2 } });
    assert.deepEqual([outcome.matured[0].kind, outcome.matured[0].route], ["background-of", 2]);
  });

  it("are forgotten at last, and then their samples are unattributed, not another request's", () => {
    const { feed } = thread();
    feed({ ...ROUTES, records: [[3, 2, 9]] });
    for (let first = 4; first < 300_000; first += 10_000) feed({ records: records(first, 10_000) });
    const { outcome } = feed({ ...late, capture: { nodes: NODES, samples }, gc: { majorCount: 2 } });
    assert.equal(outcome.matured[0].kind, "unattributed");
  });
});

describe("requests", () => {
  it("of a folded route count for the other one", () => {
    const state = new ServiceThread(0, new Dictionary(), undefined);
    state.absorbRoutes(report({ ...ROUTES, routeAliases: [[1, 2]] }));
    assert.deepEqual(state.requestRows(report({ requests: [[1_000, 1, 3]] }), 1_000), [[1_000, 2, 3]]);
  });

  it("of windows finer than the detector's clocks are added up, route by route", () => {
    const state = new ServiceThread(0, new Dictionary(), undefined);
    const requests = [
      [1_250, 1, 2],
      [1_500, 1, 3],
      [1_500, 2, 4],
      [2_250, 1, 5],
    ];
    const message = report({ ...ROUTES, requests });
    state.absorbRoutes(message);
    assert.deepEqual(state.requestRows(message, 1_000), [
      [1_500, 1, 5],
      [1_500, 2, 4],
      [2_250, 1, 5],
    ]);
  });
});
