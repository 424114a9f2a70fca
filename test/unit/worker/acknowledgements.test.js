"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const { join } = require("node:path");
const { describe, it } = require("node:test");
const { acknowledge, withdrawAcknowledgement } = require("../../../dist/export/ignore-file.js");
const { Acknowledgements } = require("../../../dist/worker/acknowledgements.js");
const { Findings } = require("../../../dist/worker/findings.js");
const { FINDING } = require("../../harness/a-finding.js");
const { assertFinding } = require("../../harness/finding-schema.js");

const START = Date.UTC(2026, 10, 25, 10);

function setup(context) {
  const folder = fs.mkdtempSync(join(os.tmpdir(), "ack-test-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const files = [join(folder, "leak-agent.ignore.json"), join(folder, "acknowledged.json")];
  const logged = [];
  const log = {
    info: (message) => logged.push(["info", message]),
    warn: (code, message) => logged.push([code, message]),
  };
  const findings = new Findings(null, log, () => ({}), new Acknowledgements(files, log));
  return { files, logged, findings };
}

function finding(verdict, seconds, given = {}) {
  return {
    ...FINDING,
    verdict,
    previousVerdict: null,
    sequence: 1,
    time: new Date(START + seconds * 1_000).toISOString(),
    ...given,
  };
}

const at = (seconds) => START + seconds * 1_000;
const verdicts = (told) => told.map((each) => `${each.previousVerdict}->${each.verdict}`);

describe("an acknowledged finding", () => {
  it("is told once as acknowledged, with the reason, and its later changes are silent", (context) => {
    const { files, findings, logged } = setup(context);
    assert.deepEqual(verdicts(findings.change(finding("leak", 0))), ["null->leak"]);
    acknowledge(files[1], { id: FINDING.id, reason: "a cache", until: null });
    const [told, ...more] = findings.review(at(10));
    assert.deepEqual([told.previousVerdict, told.verdict, more.length], ["leak", "acknowledged", 0]);
    assert.deepEqual(told.acknowledgement, { reason: "a cache", until: null, file: "acknowledged.json" });
    assert.match(told.text, /acknowledged, because "a cache" \(acknowledged\.json\)/);
    assert.ok(told.sequence > 1);
    assertFinding(told);
    assert.deepEqual(findings.review(at(20)), []);
    assert.deepEqual(findings.change(finding("saturating", 30, { sequence: 4 })), []);
    assert.deepEqual(findings.change(finding("leak", 40, { sequence: 5 })), []);
    assert.deepEqual(
      logged.map(([code]) => code),
      ["LEAK_AGENT_FINDING", "info"],
    );
  });

  it("alarms again, as what it now is, when the time is over", (context) => {
    const { files, findings, logged } = setup(context);
    acknowledge(files[0], { id: FINDING.id, reason: "a cache", until: new Date(at(60)).toISOString() });
    assert.deepEqual(verdicts(findings.change(finding("watch", 0))), ["null->acknowledged"]);
    assert.deepEqual(findings.change(finding("leak", 10, { sequence: 2 })), []);
    assert.deepEqual(findings.review(at(59)), []);
    const again = findings.review(at(60));
    assert.deepEqual(verdicts(again), ["acknowledged->leak"]);
    assert.equal(again[0].acknowledgement, undefined);
    assert.equal(logged.at(-1)[0], "LEAK_AGENT_FINDING");
    assert.deepEqual(findings.review(at(70)), []);
  });

  it("alarms again when it is withdrawn, and is over when the evidence is", (context) => {
    const { files, findings } = setup(context);
    acknowledge(files[1], { id: FINDING.id, reason: "a cache", until: null });
    findings.change(finding("leak", 0));
    withdrawAcknowledgement(files[1], FINDING.id);
    assert.deepEqual(verdicts(findings.review(at(10))), ["acknowledged->leak"]);
    acknowledge(files[1], { id: FINDING.id, reason: "again", until: null });
    assert.deepEqual(verdicts(findings.review(at(20))), ["leak->acknowledged"]);
    assert.deepEqual(verdicts(findings.change(finding("retracted", 30, { sequence: 9 }))), ["acknowledged->retracted"]);
  });

  it("of another id stays an alarm; a bad entry is told once", (context) => {
    const { files, findings, logged } = setup(context);
    const entry = { id: "000000000000", reason: "other" };
    fs.writeFileSync(files[0], JSON.stringify({ schema: "leak-agent.ignore/1", ignore: [entry, { id: "no" }] }));
    assert.deepEqual(verdicts(findings.change(finding("leak", 0))), ["null->leak"]);
    findings.review(at(10));
    findings.review(at(20));
    const problems = logged.filter(([code]) => code === "ERR_LEAK_AGENT_CONFIG");
    assert.equal(problems.length, 1);
    assert.match(problems[0][1], /leak-agent\.ignore\.json, entry 2 \(id "no"\): id must be/);
  });
});
