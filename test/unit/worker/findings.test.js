"use strict";
/** What people are told of a leak that an earlier life told. */
const assert = require("node:assert/strict");
const { it } = require("node:test");
const { Findings } = require("../../../dist/worker/findings.js");
const { FINDING } = require("../../harness/a-finding.js");

const SILENT_LOG = { info: () => {}, warn: () => {} };

function carried() {
  const findings = new Findings(null, SILENT_LOG, () => ({}));
  findings.carry({ ...FINDING, verdict: "leak" });
  /** @returns what is told of a verdict that this life alone has come to. */
  return (verdict) => findings.change({ ...FINDING, verdict, evidence: { ...FINDING.evidence, lives: 1 } });
}

it("this life's evidence builds up again: neither a watch nor saturating growth is news, a leak is", () => {
  const change = carried();
  assert.deepEqual(change("watch"), []);
  assert.deepEqual(change("saturating"), []);
  assert.deepEqual(
    change("leak").map(({ verdict }) => verdict),
    ["leak"],
  );
  // From here on it stands on this life's word, too.
  assert.deepEqual(
    change("saturating").map(({ previousVerdict, verdict }) => [previousVerdict, verdict]),
    [["leak", "saturating"]],
  );
});

it("what was freed in this life ends it", () => {
  const change = carried();
  change("watch");
  assert.deepEqual(
    change("retracted").map(({ previousVerdict, verdict }) => [previousVerdict, verdict]),
    [["leak", "retracted"]],
  );
});
