"use strict";
const assert = require("node:assert/strict");
const { describe, test } = require("node:test");
const { normaliseRoute, routeMatch, scoreCase } = require("../../../benchmarks/accuracy/score.js");
const { renderTable } = require("../../../benchmarks/accuracy/table.js");

const STARTED = Date.parse("2026-11-25T10:00:00.000Z");
const LEAK = {
  route: "GET /orders/:id",
  fileRegex: "lib/log\\.js|debug/src/common\\.js",
  functionRegex: "scoped",
  expectedBytesPerRequest: 400,
};
const LOAD = {
  startedAt: STARTED,
  progress: [
    { at: STARTED + 1_000, answered: { "GET /orders/:id": 20 } },
    { at: STARTED + 60_000, answered: { "GET /orders/:id": 1_000 } },
    { at: STARTED + 90_000, answered: { "GET /orders/:id": 1_500 } },
  ],
};

function record(changes = {}) {
  return {
    id: "a1",
    time: "2026-11-25T10:01:10.000Z",
    verdict: "leak",
    route: { name: "GET /orders/:id", kind: "request" },
    otherRoutes: [],
    site: { function: "scoped", file: "lib/log.js", line: 5, package: "app", original: null },
    appFrame: { function: "scoped", file: "lib/log.js", line: 5 },
    growth: { bytesPerRequest: 300 },
    ...changes,
  };
}

const score = (records, leaks = [LEAK]) => scoreCase({ healthy: leaks.length === 0, leaks }, records, LOAD);

describe("score of one case", () => {
  test("is right when one alarm names route and file, and measures it", () => {
    const result = score([record({ verdict: "watch", time: "2026-11-25T10:00:30.000Z" }), record()]);
    assert.equal(result.right, true);
    const [leak] = result.leaks;
    assert.equal(leak.secondsToDetection, 70);
    assert.equal(leak.requestsAtDetection, 1_000);
    assert.equal(leak.bytesAtDetection, 400_000);
    assert.equal(leak.bytesRatio, 0.75);
    assert.equal(leak.routeMatch, "strict");
  });

  test("is wrong when nothing was said, or only watch", () => {
    assert.equal(score([]).right, false);
    assert.equal(score([record({ verdict: "watch" }), record({ verdict: "saturating" })]).right, false);
  });

  test("is wrong when the alarm was taken back", () => {
    const result = score([record(), record({ verdict: "retracted", time: "2026-11-25T10:01:20.000Z" })]);
    assert.equal(result.leaks[0].verdictRight, false);
    assert.equal(result.right, false);
  });

  test("keeps a wrong file apart from a false finding", () => {
    const result = score([record({ site: { function: "parse", file: "lib/other.js", line: 1, package: "app" } })]);
    assert.equal(result.leaks[0].routeRight, true);
    assert.equal(result.leaks[0].fileRight, false);
    assert.equal(result.falseFindings.length, 0);
    assert.equal(result.right, false);
  });

  test("growth of a level is false, except where memory outside the heap leaks; it never is the leak", () => {
    const level = record({
      id: "b2",
      route: { name: "(unattributed)", kind: "unattributed" },
      site: { function: "", file: "(outside the heap)", line: 0, package: "node", original: null },
      outside: { signal: "array-buffers" },
    });
    assert.equal(score([level]).falseFindings.length, 1);
    const outside = score([level], [{ ...LEAK, kind: "external" }]);
    assert.equal(outside.falseFindings.length, 0);
    assert.equal(outside.right, false);
  });

  test("counts an alarm beside the right one as false", () => {
    const other = record({ id: "b2", route: { name: "GET /health", kind: "request" } });
    const result = score([record(), other]);
    assert.equal(result.falseFindings.length, 1);
    assert.equal(result.falseFindings[0].route, "GET /health");
    assert.equal(result.right, false);
  });

  test("accepts a second alarm that is right too", () => {
    const second = record({
      id: "b2",
      site: { function: "createDebug", file: "src/common.js", line: 64, package: "debug@4.1.1" },
    });
    const result = score([record(), second]);
    assert.equal(result.duplicates.length, 1);
    assert.equal(result.right, true);
  });

  test("reads the package's path and the original of a source map", () => {
    const inPackage = {
      function: "createDebug",
      file: "src/common.js",
      line: 64,
      package: "debug@4.1.1",
      original: null,
    };
    assert.equal(score([record({ site: inPackage })]).right, true);
    const mapped = {
      function: "f",
      file: "dist/a.js",
      line: 1,
      package: "app",
      original: { file: "lib/log.js", line: 9, column: 1 },
    };
    assert.equal(score([record({ site: mapped })]).right, true);
  });

  test("takes background of the route for the route", () => {
    const background = record({ route: { name: "background of GET /orders/:id", kind: "background-of" } });
    assert.equal(score([background]).right, true);
  });

  test("lets one finding that lists both routes cover two leaks", () => {
    const second = { ...LEAK, route: "GET /orders" };
    const result = score([record({ otherRoutes: ["GET /orders"] })], [LEAK, second]);
    assert.deepEqual(
      result.leaks.map((leak) => leak.routeMatch),
      ["strict", "listed"],
    );
    assert.equal(result.right, true);
  });

  test("wants silence of a healthy service", () => {
    assert.equal(score([record({ verdict: "watch" })], []).right, true);
    assert.equal(score([record({ verdict: "urgent" })], []).right, false);
    assert.equal(
      score([record(), record({ verdict: "retracted", time: "2026-11-25T10:02:00.000Z" })], []).right,
      false,
    );
  });
});

describe("route names", () => {
  test("are strict first and normalised second", () => {
    assert.equal(routeMatch("GET /a/:id", { route: { name: "GET /a/:id" } }), "strict");
    assert.equal(routeMatch("GET /a/:id", { route: { name: "GET /a/{number}" } }), "normalised");
    assert.equal(routeMatch("GET /a/:id", { route: { name: "GET /b/:id" } }), null);
    assert.equal(routeMatch("GET /a/:id", { route: { name: "POST /a/:id" } }), null);
  });

  test("lose only the spelling of parameters", () => {
    assert.equal(normaliseRoute("GET /a/:id(\\d+)/b.csv"), normaliseRoute("GET /a/{x}/b.csv"));
    assert.notEqual(normaliseRoute("GET /a/:id"), normaliseRoute("GET /a/b"));
    assert.equal(normaliseRoute("GET /"), "GET /");
  });
});

test("the table says which cases are wrong and why", () => {
  const results = [
    { case: "orders", score: score([record()]) },
    { case: "ring", score: score([record()], []) },
    { case: "broken", score: null },
  ];
  const lines = renderTable(results).split("\n");
  assert.match(
    lines.find((line) => line.startsWith("orders")),
    /leak +right +right +right +300 +0\.75 +70 s +1000 +0\.40 MB +0 +right/,
  );
  assert.match(
    lines.find((line) => line.startsWith("ring")),
    /alarm .*1 +WRONG/,
  );
  assert.match(
    lines.find((line) => line.startsWith("broken")),
    /did not run .*WRONG/,
  );
  assert.match(renderTable(results), /cases right 1 of 3/);
});
