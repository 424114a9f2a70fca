"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const {
  acknowledge,
  isActive,
  parseIgnoreList,
  readIgnoreFile,
  withdrawAcknowledgement,
} = require("../../../dist/export/ignore-file.js");

const ID = "7c1e09ab44d2";
const list = (...ignore) => JSON.stringify({ schema: "leak-agent.ignore/1", ignore });

function temporaryFile(context) {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "ignore-test-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return join(folder, "leak-agent.ignore.json");
}

describe("the list of acknowledged findings", () => {
  it("is read as it was written, and an absent file is an empty one", (context) => {
    const file = temporaryFile(context);
    assert.deepEqual(readIgnoreFile(file), { file: "leak-agent.ignore.json", entries: [], problems: [] });
    fs.writeFileSync(file, list({ id: ID, reason: "bounded", until: "2027-01-31" }));
    assert.deepEqual(readIgnoreFile(file).entries, [{ id: ID, reason: "bounded", until: "2027-01-31" }]);
  });

  const bad = [
    [{ reason: "x" }, /entry 2: id must be the 12 hex digits of a finding: copy it from leak-agent report/],
    [{ id: "7C1E", reason: "x" }, /entry 2 \(id "7C1E"\): id must be/],
    [{ id: ID }, /entry 2 \(id "7c1e09ab44d2"\): reason must say/],
    [{ id: ID, reason: " " }, /reason must say in 1 to 500 characters/],
    [
      { id: ID, reason: "x", until: "soon" },
      /until must be a day or an ISO 8601 time, such as "2027-01-31": correct it/,
    ],
    [{ id: ID, reason: "x", until: "2027-02-31T99" }, /until must be/],
    [{ id: ID, reason: "x", untill: "2027-01-31" }, /untill is no field of an entry: remove it/],
    ["x", /entry 2: it is no object/],
  ];
  for (const [entry, expected] of bad) {
    it(`names the entry and the fix, and keeps the others: ${JSON.stringify(entry)}`, () => {
      const { entries, problems } = parseIgnoreList(list({ id: ID, reason: "good" }, entry), "leak-agent.ignore.json");
      assert.equal(entries.length, 1);
      assert.equal(problems.length, 1);
      assert.match(problems[0], /^leak-agent\.ignore\.json, /);
      assert.match(problems[0], expected);
    });
  }

  it("a file of another shape is one problem, whatever it holds", () => {
    for (const text of ["{", "[]", "null", '{"ignore":[]}', '{"schema":"leak-agent.ignore/2","ignore":[]}']) {
      const { entries, problems } = parseIgnoreList(text, "f.json");
      assert.deepEqual([entries.length, problems.length], [0, 1], text);
    }
  });

  it("a day holds to its end in UTC, a time to itself, no time for ever", () => {
    const day = { id: ID, reason: "x", until: "2027-01-31" };
    assert.equal(isActive(day, Date.parse("2027-01-31T23:59:59Z")), true);
    assert.equal(isActive(day, Date.parse("2027-02-01T00:00:00Z")), false);
    const time = { ...day, until: "2027-01-31T10:00:00Z" };
    assert.equal(isActive(time, Date.parse("2027-01-31T10:00:00Z")), false);
    assert.equal(isActive({ ...day, until: null }, Number.MAX_SAFE_INTEGER), true);
  });

  it("a new entry takes the place of the one with its id; a file that is no such list is left as it is", (context) => {
    const file = temporaryFile(context);
    acknowledge(file, { id: ID, reason: "first", until: null });
    acknowledge(file, { id: "000000000000", reason: "other", until: null });
    acknowledge(file, { id: ID, reason: "second", until: "2027-01-31" });
    assert.deepEqual(
      readIgnoreFile(file).entries.map(({ reason }) => reason),
      ["other", "second"],
    );
    assert.equal(withdrawAcknowledgement(file, ID), true);
    assert.equal(withdrawAcknowledgement(file, ID), false);
    fs.writeFileSync(file, "{}");
    assert.throws(() => acknowledge(file, { id: ID, reason: "x", until: null }), /no list of acknowledged findings/);
    assert.equal(fs.readFileSync(file, "utf8"), "{}");
  });
});
