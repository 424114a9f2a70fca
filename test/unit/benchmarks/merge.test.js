"use strict";
const assert = require("node:assert/strict");
const { describe, it } = require("node:test");
const { mergeResults } = require("../../../benchmarks/merge");

const machine = { node: "v24.0.0", cpuModel: "a CPU", cores: 2 };
const result = (parts, ids, more = {}) => ({
  schema: "leak-agent.bench/1",
  date: "2026-01-01",
  machine,
  parts,
  budgets: ids.map((id) => ({ id, of: parts })),
  tables: Object.fromEntries(parts.split(",").map((part) => [part, parts])),
  ...more,
});

describe("results that are merged", () => {
  it("keep what was not measured again, in its place, and name every run that a row is from", () => {
    const before = result("startup,components,memory", ["a", "b", "c"]);
    const after = result("startup,blocks", ["a", "d"], { date: "2026-01-02" });
    const merged = mergeResults(before, after);
    assert.deepEqual(
      merged.budgets.map(({ id, of }) => [id, of]),
      [
        ["a", "startup,blocks"],
        ["b", "startup,components,memory"],
        ["c", "startup,components,memory"],
        ["d", "startup,blocks"],
      ],
    );
    assert.deepEqual(Object.keys(merged.tables), ["startup", "components", "memory", "blocks"]);
    assert.deepEqual(
      merged.runs.map(({ parts, date }) => [parts, date]),
      [
        ["startup,blocks", "2026-01-02"],
        ["components,memory", "2026-01-01"],
      ],
    );
    assert.deepEqual(
      mergeResults(merged, result("memory,components", [])).runs.map(({ parts }) => parts),
      ["memory,components", "startup,blocks"],
    );
  });

  it("are refused where they are another machine's or another Node's", () => {
    for (const fact of ["node", "cpuModel", "cores"]) {
      const other = result("startup", ["a"], { machine: { ...machine, [fact]: "other" } });
      assert.throws(() => mergeResults(other, result("memory", [])), new RegExp(`the same ${fact}`));
    }
  });
});
